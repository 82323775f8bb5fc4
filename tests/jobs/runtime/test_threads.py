"""Work on several items at a time."""

import threading

import pytest

from jobs.runtime.threads import side_by_side


def test_two_run_at_a_time_and_never_three() -> None:
    both, running, most = threading.Barrier(2), [], []

    def work(name: str) -> None:
        running.append(name)
        most.append(len(running))
        both.wait(20)
        running.remove(name)

    side_by_side(work, ["a", "b", "c", "d"], 2)
    assert len(most) == 4
    assert max(most) == 2


def test_after_an_error_no_further_one_begins() -> None:
    begun: list[str] = []
    error_is_seen = 2.0  # seconds, many more than the thread that waits for the first needs

    def work(name: str) -> None:
        begun.append(name)
        if name == "a":
            raise ValueError("a is wrong")
        threading.Event().wait(error_is_seen)

    with pytest.raises(ValueError, match="a is wrong"):
        side_by_side(work, ["a", "b", "c", "d"], 1)
    assert begun in (["a"], ["a", "b"])
