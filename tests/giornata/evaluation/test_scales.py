"""Clusters are warned of amounts of other sizes where one of them decides alone, as scikit-learn's clusters show."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from giornata.dataset import Dataset
from giornata.evaluation.scales import UNEVEN, uneven_scales

ROWS = 1000
random = np.random.default_rng(0)


def rows(*columns, categories=None):
    return Dataset(np.column_stack(columns).astype(np.float32), np.zeros(ROWS), categories or {})


def test_what_is_told():
    one, other = np.resize([1.0, 3.0], ROWS), np.resize([0.0, 0.0, 200.0, 200.0], ROWS)
    (said,) = uneven_scales(["near", "far"], rows(one, other), "clustering")
    assert said == (
        "feature far spreads 100 times as wide as feature near (standard deviations of 100 and 1), and outweighs it in "
        "every distance. Wrap amounts in normalize(…)"
    )
    assert uneven_scales(["near", "far"], rows(one, other), "regression") == []


@pytest.mark.parametrize("times", [1, UNEVEN - 1, UNEVEN + 1, 1e6, 1e-6])
def test_at_which_size(times):
    amounts = random.normal(size=(2, ROWS)) + np.arange(2)[:, None] * 500
    amounts /= amounts.std(axis=1)[:, None]
    said = uneven_scales(["a", "b"], rows(amounts[0], amounts[1] * times), "clustering")
    assert bool(said) == (not 1 / UNEVEN < times < UNEVEN)


def test_where_it_warns_the_small_amount_is_lost():
    """Two groups that only the small amount tells apart."""
    groups = np.arange(ROWS) % 2
    small, large = groups + random.normal(0, 0.05, ROWS), random.normal(0, 100, ROWS)

    def found(points):
        return KMeans(2, n_init=5, random_state=0).fit(points).labels_

    raw = rows(small, large)
    assert uneven_scales(["small", "large"], raw, "clustering")
    assert adjusted_rand_score(groups, found(raw.matrix)) < 0.1
    even = rows(small / small.std(), large / large.std())
    assert not uneven_scales(["small", "large"], even, "clustering")
    assert adjusted_rand_score(groups, found(even.matrix)) > 0.9


def test_codes_flags_gaps_and_constants():
    amount, codes = random.normal(0, 1, ROWS), np.arange(ROWS) % 5
    rare, gaps = (np.arange(ROWS) == 7) * 1.0, np.where(np.arange(ROWS) % 2, np.nan, amount)
    names = ["amount", "codes", "rare", "gaps", "same", "none"]
    columns = [amount, codes, rare, gaps, np.full(ROWS, 4e9), np.full(ROWS, np.nan)]
    assert uneven_scales(names, rows(*columns, categories={1: 5}), "clustering") == []
    (said,) = uneven_scales(
        ["amount", "codes"], rows(amount / amount.std() * 1000, codes, categories={1: 5}), "clustering"
    )
    assert said.startswith("feature amount spreads 2,000 times as wide as feature codes ")
    assert uneven_scales(["same"], rows(np.ones(ROWS)), "clustering") == []
    assert uneven_scales([], Dataset(np.zeros((ROWS, 0), np.float32), np.zeros(ROWS)), "clustering") == []
