"""The executors of a job: what its documents ask for, and the overrides of its request."""

import pytest

from giornata.documents.resources import JobResources, read_overrides
from giornata.errors import SettingsError
from jobs.runtime.resources import largest

SMALL, WIDE = (
    JobResources(executors=2, cores=1, memory="900m"),
    JobResources(executors=1, cores=4, memory="2g"),
)


def test_one_application_has_the_most_that_any_of_its_items_asks_for() -> None:
    assert largest([SMALL, None, WIDE], {}) == JobResources(executors=2, cores=4, memory="2g")
    assert largest([SMALL], {}) == SMALL


def test_where_nobody_asks_the_job_has_no_executors_of_its_own() -> None:
    assert largest([], {}) is None
    assert largest([None, None], {}) is None


def test_a_request_goes_over_the_documents() -> None:
    assert largest([SMALL, WIDE], {"executors": 8}) == JobResources(executors=8, cores=4, memory="2g")
    assert largest([None], {"memory": "3g"}) == JobResources(executors=1, cores=1, memory="3g")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"core": 2}, "resources have no 'core' (did you mean 'cores'?)"),
        ({"gpus": 1}, "resources have no 'gpus'"),
        ({"executors": 0}, "resources: executors is 0, expected a whole number, 1 or more"),
        ({"memory": "2 GB"}, "resources: memory is '2 GB', expected an amount such as 600m or 2g"),
        ({"memory": "100m"}, "resources: 100m is too little memory for an executor of Spark"),
    ],
)
def test_what_no_document_could_have_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError) as error:
        largest([SMALL], changes)
    assert said in str(error.value)


@pytest.mark.parametrize("text", ["[1]", "2", "executors=2", ""])
def test_an_argument_that_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a JSON object, such as"):
        read_overrides(text)
