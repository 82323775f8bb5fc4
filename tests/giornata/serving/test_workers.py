"""Models that run a project's own code, whatever that code does: each in a process that is ended and replaced."""

import math
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC

import httpx
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from giornata.bundle import open_bundle
from giornata.errors import BundleError
from giornata.models.base import PredictionError
from giornata.scorer import Scorer
from giornata.serving import workers as isolation
from giornata.serving.metrics import Metrics
from giornata.serving.model import open_model
from giornata.serving.pool import BusyError, Deadline
from giornata.serving.worker import bytes_of, rows_of
from giornata.serving.workers import CodeError, Workers, own_code, ran

pytestmark = pytest.mark.processes

SECONDS = 60
PATIENCE = 0.4
DAY = "2013-11-01T00:00:00Z"


@pytest.fixture(scope="module")
def workers():
    made = Workers(Metrics(), PATIENCE)
    yield made
    made.stop()


def opened(tmp_path, truth, workers):
    path = tmp_path / f"{truth.uuid}.zip"
    path.write_bytes(truth.content)
    return open_model(path, workers)


def ask(model, *distances, seconds=SECONDS):
    rows = [{"distance": distance} for distance in distances]
    return [answer.value for answer in model.answering(Deadline.after(seconds)).rows(rows)]


def until(is_so):
    end = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def answers_again(model, value):
    """Wait for the process that replaces one that was ended."""

    def does():
        try:
            return ask(model, value)
        except BusyError:
            return None

    until(does)
    return ask(model, value)


def process_of(model):
    return psutil.Process(model.scorer._process._worker._process)


def test_what_runs_own_code_is_known_without_running_it(spinning, odd, versions):
    assert own_code(open_bundle(spinning.content)) == ("udfs.spin",)
    assert own_code(open_bundle(odd.content)) == ("class odd.Odd",)
    assert own_code(open_bundle(versions[0].content)) == ()


def test_a_model_without_own_code_answers_in_the_server(tmp_path, versions, workers):
    model = opened(tmp_path, versions[0], workers)
    assert isinstance(model.scorer, Scorer)
    assert not model.waits


def test_a_function_that_loops_is_named_and_ended_and_its_model_answers_again(tmp_path, spinning, workers):
    model = opened(tmp_path, spinning, workers)
    assert model.waits
    first = process_of(model)
    assert ask(model, -1.0, None) == spinning.answers([[-1.0], [math.nan]])
    started = time.monotonic()
    with pytest.raises(CodeError) as error:
        ask(model, -1.0, 1.0, seconds=2 * PATIENCE)
    assert PATIENCE <= time.monotonic() - started < 20
    assert error.value.status == 503
    assert re.fullmatch(
        r"udfs.spin \(udfs.py, line [34]\) did not answer in time; the process of flights/spinning is replaced",
        str(error.value),
    )
    until(lambda: not first.is_running() or first.status() == psutil.STATUS_ZOMBIE)
    assert answers_again(model, -3.0) == spinning.answers([[-3.0]])
    assert process_of(model).pid != first.pid


def test_a_function_that_fails_says_so(tmp_path, spinning, workers):
    with pytest.raises(PredictionError, match=r"^udfs.spin\(7.0\): raises ValueError: seven$"):
        ask(opened(tmp_path, spinning, workers), 7.0)


def test_a_caller_in_a_hurry_does_not_end_the_process(tmp_path, odd, workers):
    model = opened(tmp_path, odd, workers)
    process = process_of(model).pid
    with pytest.raises(
        CodeError, match=r"^class odd.Odd, in predict \(models/odd.py, line \d+\) did not answer in time$"
    ):
        ask(model, 5, seconds=0.05)
    # The next answer is its own, not the one that came late.
    assert ask(model, 8, 9) == [8.0, 9.0]
    assert process_of(model).pid == process


def test_code_that_waits_is_ended_also_when_its_caller_has_gone(tmp_path, odd, workers):
    model = opened(tmp_path, odd, workers)
    process = process_of(model)
    with pytest.raises(CodeError):
        ask(model, 6, seconds=0.05)
    until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
    assert answers_again(model, 8) == [8.0]


@pytest.mark.parametrize(("value", "named"), [(1, r", in predict \(models/odd.py, line 16\)"), (2, "")])
def test_code_that_ends_its_process_is_named_and_its_model_answers_again(
    tmp_path, odd, workers, value, named
):
    model = opened(tmp_path, odd, workers)
    with pytest.raises(CodeError, match=rf"^class odd.Odd{named} ended the process of flights/odd"):
        ask(model, value)
    assert answers_again(model, 8) == [8.0]


def test_code_that_leaves_or_takes_too_much_memory_fails_alone(tmp_path, odd, workers):
    model = opened(tmp_path, odd, workers)
    process = process_of(model).pid
    for value, told in ((3, "SystemExit: 4"), (4, "MemoryError")):
        with pytest.raises(Exception, match=told):
            ask(model, value)
    assert process_of(model).pid == process


def test_requests_behind_one_that_loops_are_told_to_come_back(tmp_path, odd, workers):
    model = opened(tmp_path, odd, workers)
    with ThreadPoolExecutor(1) as pool:
        looping = pool.submit(ask, model, 6, seconds=PATIENCE)
        until(model.scorer._process._free.locked)
        with pytest.raises(BusyError, match="other requests to flights/odd were before"):
            ask(model, 8, seconds=0.05)
        assert isinstance(looping.exception(), CodeError)


def test_the_process_of_a_model_that_is_gone_ends(tmp_path, odd, workers):
    model = opened(tmp_path, odd, workers)
    process = process_of(model)
    assert ask(model, 8) == [8.0]
    del model
    until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("raise KeyError('nine')", "does not load its files: models/odd.py, line .*KeyError: 'nine'"),
        ("os._exit(3)", "opening it ends its process"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", r"ends its process, in load \(models/odd.py"),
        ("time.sleep(3600)", r"takes longer than 1 s, in load \(models/odd.py"),
    ],
)
def test_a_bundle_whose_code_cannot_be_loaded_is_refused(
    tmp_path, odd_like, workers, monkeypatch, code, told
):
    monkeypatch.setattr(isolation, "OPEN_SECONDS", 1.0 if "sleep" in code else 60.0)
    flag = tmp_path / "flag"
    bad = odd_like(
        "    def load(self, files):\n",
        f"    def load(self, files):\n        if os.path.exists({str(flag)!r}): {code}\n",
    )
    flag.touch()
    with pytest.raises(BundleError, match=told):
        opened(tmp_path, bad, workers)


def test_the_base_is_replaced_when_it_is_gone(tmp_path, odd):
    workers = Workers(Metrics(), PATIENCE)
    try:
        model = opened(tmp_path, odd, workers)
        workers._base.kill()
        workers._base.wait()
        other = opened(tmp_path, odd, workers)
        assert ask(other, 8) == [8.0]
        assert ask(model, 9) == [9.0]
        # What a server that is killed leaves behind it: a closed socket.
        process = process_of(other)
        with ThreadPoolExecutor(1) as pool:
            looping = pool.submit(ask, other, 6)
            until(other.scorer._process._free.locked)
            workers._control.shutdown(socket.SHUT_RDWR)
            assert isinstance(looping.exception(), CodeError)
        until(lambda: not process.is_running())
    finally:
        workers.stop()


def test_a_server_answers_while_a_function_loops_and_ends_with_it(server, versions, spinning):
    """A function that loops holds up its own model for its time; nothing of it is left when the server has gone."""
    server.environment["GIORNATA_REQUEST_TIMEOUT_MS"] = "400"
    for truth in (versions[0], spinning):
        server.put(truth.uuid, truth.content)
    server.deploy(
        {
            "flights/minutes": {"production": versions[0].uuid},
            "flights/spinning": {"production": spinning.uuid},
        }
    )
    server.start()
    loop = {"row": {"distance": 1.0}}

    def spin(milliseconds=None):
        headers = {} if milliseconds is None else {"x-timeout-ms": str(milliseconds)}
        url = f"{server.http.base_url}/models/flights/spinning/production/predict"
        return httpx.post(url, json=loop, headers=headers, timeout=SECONDS)

    assert server.predict("flights/spinning/production", {"row": {"distance": -1.0}}).status_code == 200
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(spin, 2000)
        waited = []
        while not asking.done():
            started = time.monotonic()
            assert server.http.get("/health/live").status_code == 200
            waited.append(time.monotonic() - started)
            row = {"distance": 1.0, "pushed_back_at": DAY}
            assert server.predict("flights/minutes/production", {"row": row}).status_code == 200
        response = asking.result()
    assert len(waited) > 10
    assert sorted(waited)[len(waited) // 2] < 0.1
    assert response.status_code == 503
    assert re.match(r"udfs.spin \(udfs.py, line [34]\) did not answer in time", response.json()["error"])
    assert response.headers["retry-after"] == "1"
    again = {"row": {"distance": -2.0}}
    server.until(lambda: server.predict("flights/spinning/production", again).status_code == 200)
    replaced = 'giornata_model_processes_replaced_total{model="flights/spinning",reason="late"}'
    assert server.metric(replaced) == 1

    with ThreadPoolExecutor(1) as pool:
        processes = psutil.Process(server.process.pid).children(recursive=True)
        before = {process: process.cpu_times().user for process in processes}
        asking = pool.submit(spin, 60_000)
        server.until(lambda: any(each.cpu_times().user > before[each] + 1.0 for each in processes))
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 20
        assert asking.result().status_code == 503
        assert not psutil.wait_procs(processes, SECONDS)[1]


columns = {
    "int": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(),
    "bool": st.booleans(),
    "str": st.text(),
    "timestamp": st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(fold=0)),
}
columns |= {
    f"list[{name}]": st.lists(st.none() | values) for name, values in columns.items() if name != "float"
}


@given(st.lists(st.fixed_dictionaries({name: st.none() | values for name, values in columns.items()})))
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
def test_rows_arrive_as_they_were_sent(rows):
    arrived = rows_of({name: name for name in columns}, bytes_of({name: name for name in columns}, rows))
    assert repr(arrived) == repr([{name: row[name] for name in columns} for row in rows])


def test_the_innermost_call_of_a_project_is_named():
    dump = """Thread 0x00007f (most recent call first):
  File "/lib/python3.11/statistics.py", line 3 in mean
  File "udfs.py", line 4 in _help
  File "udfs.py", line 9 in slow
  File "/lib/dsl/udfs.py", line 165 in call
  File "<row>", line 1 in row
"""
    assert ran(dump) == "udfs.slow (udfs.py, line 4)"
    assert ran(dump.replace("udfs.py", "other.py")) == ""
