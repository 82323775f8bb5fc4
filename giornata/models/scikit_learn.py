"""The context of every fit by scikit-learn: threads, silenced warnings, plain errors."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from giornata.models.base import FitError

__all__ = ["fitting", "random_state"]


@contextmanager
def fitting(rows: int, threads: int) -> Iterator[None]:
    """Fit inside the block: linear algebra uses `threads` threads, and failures are raised as FitError.

    Warnings are dropped: fits that end at their last iteration, and columns that depend on one another, still give
    valid models.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(threads), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except MemoryError as error:
            raise FitError(f"fitting {rows} rows takes more memory than there is") from error
        except (ValueError, ArithmeticError) as error:
            first = str(error).strip().partition("\n")[0] or type(error).__name__
            raise FitError(f"scikit-learn cannot fit {rows} rows: {first}") from error


def random_state(seed: int) -> int:
    """The seed as scikit-learn takes it: below 2 to the power of 32."""
    return seed % 2**32
