"""A level's or part's own search goes from the best of all rows to what its own rows want."""

import math

import pytest

from giornata.documents.model import Search
from giornata.models.search_space import Dimension
from giornata.search.optuna_search import further_trials
from giornata.search.part_search import PartSearch

SPACE = {
    "max_depth": Dimension(int=[1, 9]),
    "learning_rate": Dimension(float=[0.01, 1.0], log=True),
    "grow_policy": Dimension(choice=["depthwise", "lossguide"]),
}
BEST = [
    {"n_estimators": 7, "max_depth": 2, "learning_rate": 0.9, "grow_policy": "depthwise"},
    {"n_estimators": 9, "max_depth": 3, "learning_rate": 0.5, "grow_policy": "depthwise"},
]


def loss(parameters):
    wrong_policy = parameters["grow_policy"] != "lossguide"
    return (parameters["max_depth"] - 6) ** 2 + abs(parameters["learning_rate"] - 0.1) + wrong_policy


def plan(sampler="tpe", seed=0, space=SPACE):
    return Search(trials=1, metric="auc", space=space, sampler=sampler, seed=seed)


def tried(search, rounds, count):
    """All that is proposed in so many rounds."""
    found = []
    for _ in range(rounds):
        proposed = search.ask(count)
        search.tell([loss(one) for one in proposed])
        found += proposed
    return found


def begun(sampler="tpe", seed=0, trials=60):
    return PartSearch(plan(sampler, seed), BEST, [loss(one) for one in BEST], trials)


@pytest.mark.parametrize("sampler", ["tpe", "cmaes"])
def test_it_finds_the_planted_optimum(sampler):
    """The metric of the search on all rows is better when higher; the losses of parts never are."""
    found = tried(begun(sampler), 19, 3)
    assert len(found) == 57
    best = min(found, key=loss)
    assert best["max_depth"] == 6
    assert best["grow_policy"] == "lossguide"
    assert all(one["n_estimators"] == 7 for one in found), "what is not searched is as in the best"
    late, early = (sum(map(loss, part)) for part in (found[-20:], found[:20]))
    assert late < early / 2, "it learns from what it is told"


def test_what_it_is_told_at_the_beginning_counts():
    best = [{**BEST[0], "max_depth": depth} for depth in range(1, 10) for _ in range(6)]

    def error(losses):
        return sum(abs(one["max_depth"] - 6) for one in PartSearch(plan(), best, losses, 99).ask(30))

    known, unknown = ([loss(one) for one in best], [math.inf] * len(best))
    assert error(known) < 0.7 * error(unknown)


def test_the_same_losses_and_seed_give_the_same_sets():
    assert tried(begun(seed=3), 6, 2) == tried(begun(seed=3), 6, 2)
    assert tried(begun(seed=3), 6, 2) != tried(begun(seed=4), 6, 2)


def test_a_grid_proposes_each_combination_once():
    space = {"max_depth": Dimension(choice=[2, 3, 4]), "grow_policy": SPACE["grow_policy"]}
    best = [{"max_depth": 2, "grow_policy": "depthwise", "n_estimators": 7}]
    search = PartSearch(plan("grid", space=space), best, [1.0], 100)
    found = []
    for _ in range(3):
        found += [(one["max_depth"], one["grow_policy"]) for one in search.ask(2)]
        search.tell([0.5] * (2 if len(found) < 5 else 1))
    combinations = {(depth, policy) for depth in (2, 3, 4) for policy in ("depthwise", "lossguide")}
    assert sorted(found) == sorted(combinations - {(2, "depthwise")})
    assert search.ask(2) == []


@pytest.mark.parametrize(
    ("sampler", "left"),
    [("grid", 2), ("tpe", 1)],  # of four trials, three were made, one outside of the grid
)
def test_what_lies_outside_of_a_grid_is_none_of_its_combinations(sampler, left):
    space = {"max_depth": Dimension(choice=[3, 4, 5, 6])}
    tried = [{"max_depth": depth} for depth in (12, 3, 4)]
    assert further_trials(plan(sampler, space=space), tried, 4) == left


def test_what_failed_and_what_lies_outside_of_the_space_does_no_harm():
    outside = [{**BEST[0], "max_depth": 12}, {"n_estimators": 7, "max_depth": 2}]
    search = PartSearch(plan(), outside, [0.1, 0.2], 10)
    for _ in range(3):
        proposed = search.ask(2)
        assert all(1 <= one["max_depth"] <= 9 for one in proposed)
        search.tell([math.inf, math.nan])
