"""An offset that is subtracted from labels before a fit and added to predictions, to keep fitted values small.

XGBoost holds labels and predictions as float32, which cannot represent seconds in a timestamp of our days (1.6e9 since
1970), and scikit-learn's trees subtract squares of labels from one another. Both lose the differences between rows if
labels are far from 0 and close together.
"""

import numpy as np

from giornata.dataset import Vector

__all__ = ["FAR", "offset_of"]

FAR = 100
"""Distance of the median from 0, in mean distances of the labels from it, from which on labels are shifted: for less,
float32 has more than five digits for the differences between labels, and models keep their exact bits."""


def offset_of(target: Vector) -> float:
    """The median of labels that are far from 0 (always one of them), else 0.

    Not the mean, and without the standard deviation: a single label of 0 among a million timestamps would hide how
    close the others are.
    """
    if not len(target):
        return 0.0
    middle = float(np.partition(target, len(target) // 2)[len(target) // 2])
    with np.errstate(over="ignore"):
        spread = float(np.mean(np.abs(target - middle)))
    return middle if abs(middle) > FAR * spread else 0.0
