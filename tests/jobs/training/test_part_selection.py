"""Levels and parts that search for themselves find what their own rows want."""

import math

import numpy as np
import pyarrow as pa
import pytest

from giornata.dataset import Dataset
from giornata.documents.model import Partition, Search
from giornata.models import model_type
from giornata.models.search_space import Dimension
from giornata.partitions import key_text
from jobs.training.dataset import LABEL, ORDER, PARTS, WINDOW
from jobs.training.part_fitting import FitConfig, fit_parts
from jobs.training.part_selection import choose

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

FEATURES = 12
# Of `exact` the label is a weighted sum of the features, so that it wants no penalty; of `noise` it has nothing to do
# with them, so that it wants the largest, all the more as its rows are few; `other` is like `noise`.
ROWS = {"exact": 400, "noise": 60, "other": 60}
SPACE = {"alpha": Dimension(float=[1e-4, 100], log=True)}
SETS = [{"alpha": 0.1, "penalty": "l2"}, {"alpha": 0.3, "penalty": "l2"}]


@pytest.fixture(scope="module")
def rows():
    """Features, labels and window of each part's rows."""
    random = np.random.default_rng(0)
    found = {}
    for part, count in ROWS.items():
        values = random.normal(0, 1, (count, FEATURES)).astype(np.float32)
        label = values @ np.arange(1.0, FEATURES + 1) if part == "exact" else random.normal(0, 1, count)
        window = np.where(random.random(count) < 0.5, "validation", "train")
        found[part] = values, label.astype(float), window
    return found


@pytest.fixture
def matrix(spark, rows):
    parts = np.repeat([*rows], [*ROWS.values()])
    values, labels, windows = (np.concatenate([each[place] for each in rows.values()]) for place in range(3))
    table = pa.table(
        {
            **{f"x{place}": values[:, place] for place in range(FEATURES)},
            LABEL: labels,
            WINDOW: pa.array(windows),
            ORDER: np.arange(len(labels)),
            PARTS: pa.array([[key_text(()), key_text((part,))] for part in parts]),
        }
    )
    return spark.createDataFrame(table).persist()


def chosen(matrix, tune, trials, parameters=SETS, space=SPACE, **more):
    config = FitConfig(model_type("linear"), "regression", parameters, 0, FEATURES, {})
    partition = Partition(by=["row.part"], min_rows=1, tune=tune, sets=len(parameters), trials=trials)
    sizes = {(): sum(ROWS.values()), **{(part,): count for part, count in ROWS.items()}}
    fits = []

    def fit(asked, config):
        fits.append(dict(asked))
        return fit_parts(matrix, asked, ["train"], config, 4)

    plan = Search(trials=1, metric="rmse", space=space, **more)
    return choose(matrix, partition, plan, config, sizes, math.sqrt, fit), fits


def error(rows, parts, parameters):
    """Mean squared error on the validation rows of parts, each fitted to its training rows in this process."""
    squares = []
    for part in parts:
        values, label, window = rows[part]
        learned = Dataset(values[window == "train"], label[window == "train"])
        fitted = model_type("linear").fit(learned, "regression", parameters, 0)
        squares.append(
            np.square(fitted.predict(values[window == "validation"]) - label[window == "validation"])
        )
    return np.concatenate(squares).mean()


def test_each_part_finds_its_own(matrix, rows):
    found, fits = chosen(matrix, "part", 8)
    alphas = {key: parameters["alpha"] for key, parameters in found.parameters.items()}
    assert alphas[()] == 0.1, "the root has the best of the search"
    assert alphas["exact",] < 0.1
    assert alphas["noise",] > 1
    assert alphas["other",] > 1
    assert found.tried == {(): 1, ("exact",): 8, ("noise",): 8, ("other",): 8}
    assert all(parameters["penalty"] == "l2" for parameters in found.parameters.values())
    # All parts have their turn in the same few Spark jobs.
    assert [len(asked) for asked in fits] == [7, 6, 6, 6]
    for part in ROWS:
        decided = found.decisions[part,]
        assert decided.loss == pytest.approx(error(rows, [part], found.parameters[part,]))
        assert decided.loss < min(error(rows, [part], one) for one in SETS)
    assert found.decisions["exact",].kept


def test_a_level_shares_what_is_best_for_all_of_its_parts(matrix, rows):
    found, fits = chosen(matrix, "level", 8)
    shared = {tuple(found.parameters[part,].items()) for part in ROWS}
    assert len(shared) == 1
    # Most of the squares are those of `exact`, which no penalty makes small.
    assert found.parameters["noise",]["alpha"] < 0.1
    assert error(rows, ROWS, found.parameters["noise",]) < min(error(rows, ROWS, one) for one in SETS)
    assert [len(asked) for asked in fits] == [7, 6, 6, 6]


def test_without_trials_parts_choose_among_the_best_of_all_rows(matrix, rows):
    found, fits = chosen(matrix, "part", None)
    assert len(fits) == 1
    for part in ROWS:
        assert dict(found.parameters[part,]) == min(SETS, key=lambda one: error(rows, [part], one))


def test_a_grid_ends_where_it_has_no_more(matrix):
    space = {"alpha": Dimension(choice=[0.1, 0.3, 50.0])}
    found, fits = chosen(matrix, "part", 9, space=space, sampler="grid")
    assert [len(asked) for asked in fits] == [7, 3]
    assert found.parameters["noise",]["alpha"] == 50.0
    assert found.parameters["exact",]["alpha"] == 0.1


def test_the_same_seed_finds_the_same(matrix):
    first, again = (chosen(matrix, "part", 6, seed=5)[0] for _ in range(2))
    assert first == again
