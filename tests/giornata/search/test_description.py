"""Searches in words: trials count from 1, and the first uses the document's own parameters."""

import pytest

from giornata.documents.model import Search
from giornata.records.model_version import ModelVersion, SearchRecord, TrialRecord
from giornata.search.description import describe_base, describe_search

PLAN = Search.model_validate(
    {
        "trials": 3,
        "metric": "rmse",
        "sampler": "grid",
        "space": {"max_depth": {"choice": [3, 4, 5, 6]}, "grow_policy": {"choice": ["depthwise"]}},
    }
)


def searched(version: ModelVersion, plan: Search | None, *depths: int) -> ModelVersion:
    trials = [
        TrialRecord(
            number=number,
            parameters={"max_depth": depth, "grow_policy": "depthwise"},
            state="complete",
            value=abs(depth - 5),
            seconds=1,
        )
        for number, depth in enumerate(depths)
    ]
    best = min(trials, key=lambda trial: trial.value or 0).number
    record = SearchRecord(metric="rmse", best=best, train_rows=9, validation_rows=9, trials=trials)
    configuration = version.configuration.model_copy(update={"search": plan})
    return version.model_copy(update={"search": record, "configuration": configuration})


@pytest.mark.parametrize(
    ("depths", "said"),
    [
        (
            (12, 3, 5, 4),
            "4 trials, the first with the document's own parameters, max_depth 12 outside of the space; the best is "
            "trial 3 with validation rmse 0; 1 combination of the grid not tried",
        ),
        (
            (5, 3, 4, 6),
            "4 trials, the first with the document's own parameters; the best is trial 1 with validation rmse 0",
        ),
    ],
)
def test_a_search_is_told_with_trials_that_count_from_one(trained, depths, said):
    assert describe_search(searched(trained.bundle.version, PLAN, *depths)) == said


def test_without_a_search_the_parameters_are_the_documents(trained):
    said = describe_search(searched(trained.bundle.version, None, 7))
    assert said == "the document's own parameters, with validation rmse 2"
    assert describe_base(None, {"max_depth": 7}) == "the document's own parameters"
