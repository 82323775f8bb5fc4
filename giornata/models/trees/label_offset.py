"""A number that labels are learned without, and answers have added: what is learned is then as small as it can be.

XGBoost holds labels and answers as float32, which has no seconds left in a moment of our days (1.6e9 since 1970), and
scikit-learn's trees subtract squares of labels from one another. Both lose what tells rows apart where labels lie far
from 0 and close together.
"""

import numpy as np

from giornata.dataset import Vector

__all__ = ["FAR", "offset_of"]

FAR = 100
"""Mean distances of the labels from their median that this must be away from 0, for them to be shifted by it: at less
float32 has more than five digits left for what tells labels apart, and models keep their very bits."""


def offset_of(target: Vector) -> float:
    """The median of labels far from 0, one of them, else 0.

    Not their mean, and no standard deviation: one label of 0 among a million moments hides how close the others are.
    """
    if not len(target):
        return 0.0
    middle = float(np.partition(target, len(target) // 2)[len(target) // 2])
    with np.errstate(over="ignore"):
        spread = float(np.mean(np.abs(target - middle)))
    return middle if abs(middle) > FAR * spread else 0.0
