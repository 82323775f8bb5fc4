"""The search finds a planted optimum, survives failures, and does not depend on which trial ends first."""

import statistics
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

import pytest

from giornata.documents.model import Search
from giornata.errors import DataError
from giornata.models.base import FitError, PrunedError
from giornata.models.search_space import Dimension
from giornata.search.description import describe_grid, untried
from giornata.search.optuna_search import TrialResult, best_trial, search, trial_count
from giornata.search.pruning import CurveWatch
from giornata.search.report import parameter_importances

SPACE = {
    "max_depth": Dimension(int=[1, 9]),
    "learning_rate": Dimension(float=[0.01, 1.0], log=True),
    "grow_policy": Dimension(choice=["depthwise", "lossguide"]),
}
OWN = {"n_estimators": 7, "max_depth": 1, "learning_rate": 1.0, "grow_policy": "depthwise"}


def loss(parameters):
    wrong_policy = parameters["grow_policy"] != "lossguide"
    return (parameters["max_depth"] - 6) ** 2 + abs(parameters["learning_rate"] - 0.1) + wrong_policy


def plan(trials, metric="rmse", seed=0, **more):
    return Search(trials=trials, metric=metric, seed=seed, **{"space": SPACE, **more})


def at_once(parameters, limits=None):
    future = Future()
    future.set_result(TrialResult(loss(parameters), 7, 0.0))
    return future


def test_finds_the_planted_optimum():
    trials = list(search(at_once, OWN, plan(60, "rmse", 0), 2))
    assert [trial.number for trial in trials] == list(range(60))
    assert trials[0].parameters == OWN
    assert all(trial.parameters["n_estimators"] == 7 for trial in trials)
    best = best_trial(trials, "rmse")
    assert best.value == min(trial.value for trial in trials)
    assert best.parameters["max_depth"] == 6
    assert best.parameters["grow_policy"] == "lossguide"


def test_maximises_what_is_better_when_higher():
    trials = list(search(at_once, OWN, plan(40, "auc", 0), 2))
    assert best_trial(trials, "auc").value == max(trial.value for trial in trials)
    # It went looking for high values: the farthest depth from 6 is 1.
    assert best_trial(trials, "auc").parameters["max_depth"] == 1


def test_order_of_completion_does_not_matter():
    expected = list(search(at_once, OWN, plan(25, "rmse", 5), 3))
    with ThreadPoolExecutor(3) as pool:
        # In a window of three, the trial asked for last is the one that ends first.
        waiting: list = []

        def submit(parameters, limits):
            future: Future = Future()
            waiting.append((future, TrialResult(loss(parameters), 7, 0.0)))
            if len(waiting) == 3:
                for late, result in reversed(waiting):
                    pool.submit(late.set_result, result)
                waiting.clear()
            return future

        found = []
        for trial in search(submit, OWN, plan(24, "rmse", 5), 3):
            found.append(trial)
            for late, result in waiting:
                late.set_result(result)
            waiting.clear()
    assert found == expected[:24]


def test_no_more_in_flight_than_allowed_and_later_trials_learn_from_earlier_ones():
    submitted = []

    def submit(parameters, limits):
        submitted.append(parameters)
        return at_once(parameters)

    for trial in search(submit, OWN, plan(40, "rmse", 0), 4):
        assert len(submitted) <= trial.number + 4
    # After Optuna's ten random trials, what is proposed gathers about the optimum.
    early, late = ([loss(parameters) for parameters in part] for part in (submitted[1:11], submitted[25:]))
    assert sum(late) / len(late) < 0.7 * sum(early) / len(early)


def test_a_failed_trial_is_recorded_and_the_others_go_on():
    def submit(parameters, limits):
        future: Future = Future()
        if parameters["max_depth"] > 4:
            future.set_exception(FitError("too deep"))
        elif parameters["grow_policy"] == "lossguide":
            future.set_result(TrialResult(float("nan"), 7, 0.0))
        else:
            future.set_result(TrialResult(loss(parameters), 7, 0.0))
        return future

    trials = list(search(submit, OWN, plan(30, "rmse", 1), 2))
    assert len(trials) == 30
    failed = [trial for trial in trials if trial.state == "failed"]
    assert {trial.reason for trial in failed} == {
        "too deep",
        "its metric is not defined on the validation rows",
    }
    assert all(trial.value is None for trial in failed)
    assert best_trial(trials, "rmse").parameters["max_depth"] <= 4


def test_all_failed():
    def submit(parameters, limits):
        future: Future = Future()
        future.set_exception(FitError("no memory"))
        return future

    with pytest.raises(DataError, match="all 3 trials of the search failed: no memory"):
        best_trial(list(search(submit, OWN, plan(3, "rmse", 0), 2)), "rmse")


def curved(parameters, limits):
    """A trial of up to 30 rounds, whose loss falls to its own by (1 + 1 / round), under a watch as on an executor."""
    watch, future = CurveWatch(limits), Future()
    try:
        for round_ in range(1, 31):
            watch(round_, loss(parameters) * (1 + 1 / round_))
        future.set_result(TrialResult(loss(parameters), 30, 0.0, watch.curve))
    except PrunedError:
        future.set_result(TrialResult(None, watch.curve[-1][0], 0.0, watch.curve))
    return future


def test_trials_worse_than_the_median_of_earlier_ones_go_no_further():
    trials = list(search(curved, OWN, plan(40, sampler="random"), 2))
    whole = list(search(curved, OWN, plan(40, sampler="random", pruning="none"), 2))
    assert {trial.state for trial in whole} == {"complete"}
    assert [trial.parameters for trial in trials] == [trial.parameters for trial in whole]
    # By hand: two were under way, so trial n was bound by those before n - 1, once five of them were complete.
    expected = []
    for number, trial in enumerate(whole):
        before = [(whole[n], expected[n]) for n in range(max(0, number - 1))]
        bound, complete = {}, [one for one, pruned_at in before if pruned_at is None]
        if len(complete) >= 5:
            for round_ in range(1, 31):
                losses = [
                    loss(one.parameters) * (1 + 1 / round_)
                    for one, pruned_at in before
                    if pruned_at is None or round_ <= pruned_at
                ]
                if len(losses) >= 5:
                    bound[round_] = statistics.median(losses)
        mine = ((r, loss(trial.parameters) * (1 + 1 / r)) for r, _ in trial.curve)
        expected.append(next((r for r, value in mine if r in bound and value > bound[r]), None))
    assert [trial.rounds if trial.state == "pruned" else None for trial in trials] == expected
    assert sum(trial.state == "pruned" for trial in trials) > 10
    assert sum(trial.rounds for trial in trials) < 0.8 * sum(trial.rounds for trial in whole)
    assert best_trial(trials, "rmse").parameters == best_trial(whole, "rmse").parameters


def test_a_grid_is_tried_whole_and_no_point_twice():
    space = {
        "max_depth": Dimension(choice=[2, 4, 6]),
        "grow_policy": Dimension(choice=["depthwise", "lossguide"]),
    }
    trials = list(search(at_once, OWN, plan(50, sampler="grid", space=space), 2))
    drawn = [(trial.parameters["max_depth"], trial.parameters["grow_policy"]) for trial in trials[1:]]
    assert sorted(drawn) == sorted((d, g) for d in (2, 4, 6) for g in ("depthwise", "lossguide"))
    some = list(search(at_once, OWN, plan(4, sampler="grid", space=space), 2))
    assert [trial.parameters for trial in some] == [trial.parameters for trial in trials[:5]]
    # The document's own point is the first trial, and one of an earlier search comes before the rest.
    own, earlier = {**OWN, "max_depth": 4}, {"max_depth": 6, "grow_policy": "lossguide"}
    trials = list(search(at_once, own, plan(50, sampler="grid", space=space), 2, warm_start=[earlier]))
    drawn = [(trial.parameters["max_depth"], trial.parameters["grow_policy"]) for trial in trials]
    assert drawn[:2] == [(4, "depthwise"), (6, "lossguide")]
    assert sorted(drawn) == sorted((d, g) for d in (2, 4, 6) for g in ("depthwise", "lossguide"))


@pytest.mark.parametrize("asked", [4, 7, None])
@pytest.mark.parametrize(
    ("stated", "tried"),
    [
        ({"max_depth": 4}, [4, 3, 5, 6]),  # the document's own parameters are one of the combinations
        ({"max_depth": 12}, [12, 3, 4, 5, 6]),  # they lie outside of the space
        ({}, [None, 3, 4, 5, 6]),  # they leave the parameter to the type
    ],
)
def test_of_a_grid_every_combination_is_tried_whatever_the_document_states(asked, stated, tried):
    space = {"max_depth": Dimension(choice=[3, 4, 5, 6])}
    own = {"n_estimators": 7, **stated}

    def answer(parameters, limits):
        future = Future()
        future.set_result(TrialResult(abs(parameters.get("max_depth", 99) - 5), 7, 0.0))
        return future

    asked = plan(asked, sampler="grid", space=space)
    trials = list(search(answer, own, asked, 2))
    depths = [trial.parameters.get("max_depth") for trial in trials]
    assert depths[0] == tried[0]
    assert sorted(depths[1:]) == tried[1:]
    assert trial_count(asked, own) == len(trials)
    assert best_trial(trials, "rmse").parameters["max_depth"] == 5


@pytest.mark.parametrize(("depth", "tried", "left"), [(4, 2, 2), (12, 3, 2)])
def test_of_a_grid_with_fewer_trials_it_is_told_how_many_combinations_are_not_tried(depth, tried, left):
    space = {"max_depth": Dimension(choice=[3, 4, 5, 6])}
    own, asked = {**OWN, "max_depth": depth}, plan(2, sampler="grid", space=space)
    trials = list(search(at_once, own, asked, 2))
    depths = [trial.parameters["max_depth"] for trial in trials]
    assert (len(depths), len({3, 4, 5, 6} - {*depths})) == (tried, left)
    assert untried(asked, [trial.parameters for trial in trials]) == left
    assert f"{left} combinations will not be tried, as trials is 2" in describe_grid(asked, own, len(trials))


def test_cmaes_finds_the_planted_optimum():
    ranges = {name: SPACE[name] for name in ("max_depth", "learning_rate")}
    own = {**OWN, "grow_policy": "lossguide"}
    trials = list(search(at_once, own, plan(80, sampler="cmaes", space=ranges), 2))
    assert best_trial(trials, "rmse").value < 0.1
    late = [loss(trial.parameters) for trial in trials[60:]]
    early = [loss(trial.parameters) for trial in trials[1:21]]
    assert sum(late) < 0.5 * sum(early)


def test_what_a_sampler_cannot_do_is_refused():
    with pytest.raises(ValueError, match="max_depth is a range"):
        plan(3, sampler="grid")
    with pytest.raises(ValueError, match="at least two"):
        plan(3, sampler="cmaes", space={"max_depth": Dimension(int=[1, 9])})
    with pytest.raises(ValueError, match="trials is missing"):
        plan(None)
    vast = {f"parameter_{place}": Dimension(choice=list(range(10))) for place in range(5)}
    with pytest.raises(ValueError, match="100,000 combinations"):
        plan(None, sampler="grid", space=vast)
    assert plan(20, sampler="grid", space=vast).combinations == 100_000


def test_no_trial_is_asked_for_after_the_time():
    minutes = 0

    def ten_minutes(parameters, limits):
        nonlocal minutes
        minutes += 10
        return at_once(parameters)

    trials = list(search(ten_minutes, OWN, plan(50, time="45m"), 2, clock=lambda: minutes * 60))
    assert [trial.number for trial in trials] == [0, 1, 2, 3, 4]


def test_a_trial_that_waits_for_its_turn_does_not_begin_after_the_time():
    others_taken_back = threading.Event()
    with ThreadPoolExecutor(1) as pool:

        def one_at_a_time(parameters, limits):
            future = pool.submit(until_taken_back, parameters)
            future.add_done_callback(lambda ended: ended.cancelled() and others_taken_back.set())
            return future

        def until_taken_back(parameters):
            assert others_taken_back.wait(60)
            return TrialResult(loss(parameters), 7, 0.0)

        a_second = plan(2).model_copy(update={"time": timedelta(seconds=1)})
        trials = list(search(one_at_a_time, OWN, a_second, 2))
    assert [trial.number for trial in trials] == [0]


def test_the_best_of_an_earlier_search_come_first():
    earlier = [
        {"max_depth": 6, "learning_rate": 0.1, "grow_policy": "lossguide", "gone": 3},
        {"max_depth": 7},
    ]
    trials = list(search(at_once, OWN, plan(4), 1, warm_start=earlier))
    assert trials[0].parameters == OWN
    assert trials[1].parameters == {**OWN, "max_depth": 6, "learning_rate": 0.1, "grow_policy": "lossguide"}
    assert trials[2].parameters["max_depth"] == 7


def test_of_an_earlier_search_in_another_space_only_what_lies_in_this_one_is_taken():
    """A choice that is gone, a number beyond the range, a fraction where there are whole numbers, a word; nothing
    that is tried anyway, nor anything twice."""
    space = {
        "max_depth": Dimension.model_validate({"int": [2, 8]}),
        "learning_rate": Dimension.model_validate({"float": [0.01, 0.5]}),
        "grow_policy": Dimension(choice=["depthwise", "lossguide"]),
    }
    good = {"max_depth": 4, "learning_rate": 0.2, "grow_policy": "lossguide"}
    earlier = [
        {"max_depth": 4.5, "learning_rate": 7.0, "grow_policy": "gone"},
        {**OWN, **good},
        dict(OWN),
        {**good, "n_estimators": 3},
        {"max_depth": "deep", "learning_rate": 0.3, "grow_policy": 1},
    ]
    trials = list(search(at_once, OWN, plan(4, space=space), 1, warm_start=earlier))
    assert [trial.number for trial in trials] == [0, 1, 2, 3]
    assert trials[1].parameters == {**OWN, **good}
    assert trials[2].parameters["learning_rate"] == 0.3
    assert all(trial.parameters["learning_rate"] <= 0.5 for trial in trials[1:])
    assert [trial.parameters for trial in trials[1:]].count({**OWN, **good}) == 1


def test_of_a_grid_no_point_is_tried_twice_after_an_earlier_search_of_fewer_parameters():
    space = {
        "max_depth": Dimension(choice=[2, 3, 4]),
        "learning_rate": Dimension(choice=[0.1, 0.2]),
    }
    own = {**OWN, "max_depth": 2, "learning_rate": 0.1}
    earlier = [{"max_depth": 3}, {"max_depth": 4, "learning_rate": 0.2}]
    for seed in range(5):
        asked = plan(20, sampler="grid", space=space, seed=seed)
        trials = list(search(at_once, own, asked, 1, warm_start=earlier))
        points = [(trial.parameters["max_depth"], trial.parameters["learning_rate"]) for trial in trials]
        assert points[:2] == [(2, 0.1), (4, 0.2)]
        assert len(points) == len(set(points)) == 6


def test_a_few_points_of_a_grid_that_nobody_could_write_down():
    space = {f"parameter_{place:02}": Dimension(choice=list(range(10))) for place in range(30)}
    first, second = (list(search(at_once, OWN, plan(40, sampler="grid", space=space), 2)) for _ in range(2))
    assert first == second
    points = [tuple(trial.parameters[name] for name in space) for trial in first[1:]]
    assert len(set(points)) == 40
    # Every choice of every parameter is drawn with chance 0.1: that of 40 draws none is the first has chance 0.015.
    assert sum(0 in column for column in zip(*points, strict=True)) > 25


def test_an_interrupted_search_goes_on_where_it_was():
    whole = list(search(curved, OWN, plan(25), 2))
    ran = []

    def submit(parameters, limits):
        ran.append(parameters)
        return curved(parameters, limits)

    known = {trial.number: trial for trial in whole[:14]}
    assert list(search(submit, OWN, plan(25), 2, known=known)) == whole
    assert ran == [trial.parameters for trial in whole[14:]]
    # Of a search that asked otherwise, nothing fits but the document's own parameters.
    ran.clear()
    list(search(submit, OWN, plan(25, seed=7), 2, known=known))
    assert len(ran) == 24


@pytest.mark.parametrize(("spent", "further"), [(0, 5), (40, 1), (50, 0)])
def test_an_interrupted_search_has_the_rest_of_its_time(spent, further):
    """Of 45 minutes; what is known is kept whatever the time is."""
    known = {trial.number: trial for trial in search(at_once, OWN, plan(14), 2)}
    minutes = 0

    def ten_minutes(parameters, limits):
        nonlocal minutes
        minutes += 10
        return at_once(parameters)

    asked = plan(50, time="45m")
    trials = [*search(ten_minutes, OWN, asked, 2, (), known, spent * 60, lambda: minutes * 60)]
    assert trials[:14] == [*known.values()]
    assert len(trials) == 14 + further


def test_the_parameter_that_decides_is_the_important_one():
    trials = list(search(at_once, OWN, plan(60, sampler="random"), 2))
    shares = parameter_importances(trials, SPACE, 0)
    assert next(iter(shares)) == "max_depth"
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["max_depth"] > 0.8
    assert parameter_importances(trials[:5], SPACE, 0) == {}
