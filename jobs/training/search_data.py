"""The rows for the trials of a search: all of them, or a sample that fits on the driver and the executors."""

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from giornata.models import ModelType
from jobs.training.dataset import WINDOW, RowCounts, examples, sample
from jobs.training.trials import TrialData

__all__ = ["MAX_SEARCH_ROWS", "most_searched", "search_data"]

# Training and validation rows that the search sees, and that distributions are drawn from: they pass through the
# driver's memory, 4 bytes a feature, and each trial has them in an executor's as its type learns from them. Of more
# rows, about this many are chosen by a hash of their key, or as many as take MAX_SEARCH_BYTES.
MAX_SEARCH_ROWS = 250_000
MAX_SEARCH_BYTES = 2**28


def search_data(
    matrix: DataFrame,
    counts: RowCounts,
    type_: ModelType,
    features: Sequence[str],
    categories: Mapping[int, int],
    outputs: Sequence[str],
) -> TrialData:
    """Training and validation rows of a matrix of `features`, of which `categories` are codes."""
    learned = counts.rows["train"] + counts.rows["validation"]
    chosen = sample(matrix, learned, most_searched(type_, len(features), categories))
    train, validation = (
        examples(chosen.where(F.col(WINDOW) == name).toArrow(), len(features), categories, features, outputs)
        for name in ("train", "validation")
    )
    return TrialData(train, validation)


def most_searched(type_: ModelType, features: int, categories: Mapping[int, int]) -> int:
    """The most rows for a search with so many features; `categories` maps those that are codes to the number of
    codes."""
    taken = max(4 * features, type_.bytes_of_row(features, categories))
    return min(MAX_SEARCH_ROWS, MAX_SEARCH_BYTES // taken)
