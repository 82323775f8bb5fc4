"""Bundles that crash, loop or grow end a process of their own; what became of each is known to the next server."""

import hashlib
import json
import os
import signal
import threading

import psutil
import pytest

from giornata.errors import BundleError
from giornata.serving import bundle_checks as module
from giornata.serving import check_results
from giornata.serving.bundle_checks import BundleChecks, NotNowError
from giornata.serving.loader import Loader
from giornata.serving.model import open_model

CLASS = """
class Odd:
    def fit(self, examples, setting): ...
    def predict(self, matrix): return [1.0] * len(matrix)
    def save(self): return {}
    def load(self, files): ...
"""
ENDS = {
    "crash": ("import os\nos.kill(os.getpid(), 11)", r"ends the process \(SIGSEGV\)"),
    "exit": ("import os\nos._exit(0)", r"ends the process \(exit status 0\)"),
    "leave": ("raise SystemExit('no')", "SystemExit: no"),
    "import": ("import no_such_module", "line 1: ModuleNotFoundError: No module named 'no_such_module'"),
    "syntax": ("def", "line 1: SyntaxError"),
}


@pytest.fixture
def check(bundle_checks, tmp_path):
    def check(content, by=bundle_checks):
        path = tmp_path / "bundle.zip"
        path.write_bytes(content)
        by.check(path, content)

    return check


def test_good_bundles_are_good(of_class, check, bundle_checks, versions, rooted):
    for truth in (*versions, rooted):
        check(truth.content)
    first = bundle_checks._process.pid
    check(of_class(versions[0], CLASS))
    assert bundle_checks._process.pid == first


@pytest.mark.parametrize("end", ENDS)
def test_code_that_ends_the_process_is_refused_with_its_reason_and_for_ever(of_class, check, versions, end):
    source, message = ENDS[end]
    content = of_class(versions[0], source + "\n" + CLASS)
    for _ in range(2):
        with pytest.raises(BundleError, match=message):
            check(content)


def test_code_that_loops_ends_at_its_deadline(of_class, check, versions, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 2.0)
    with pytest.raises(NotNowError, match="opening it takes longer than 2 s") as error:
        check(of_class(versions[0], "while True: pass\n" + CLASS))
    assert 3000 < error.value.seconds <= 3600


def test_code_that_takes_all_memory_is_refused(of_class, check, versions):
    with pytest.raises(NotNowError, match="takes more memory"):
        check(of_class(versions[0], "held = bytearray(10**12)\n" + CLASS))


def test_what_is_known_needs_no_process_and_survives_the_server(
    of_class, check, bundle_checks, versions, monkeypatch
):
    bad = of_class(versions[0], "import os\nos.abort()\n" + CLASS)
    check(versions[0].content)
    with pytest.raises(BundleError, match="SIGABRT"):
        check(bad)
    later = BundleChecks(bundle_checks._results._folder)
    check(versions[0].content, later)
    with pytest.raises(BundleError, match="SIGABRT"):
        check(bad, later)
    assert later._process is None
    monkeypatch.setattr(check_results.CheckResults, "_by", {"giornata": "another release"})
    assert (
        check_results.CheckResults(bundle_checks._results._folder).get(hashlib.sha256(bad).hexdigest())
        is None
    )


def test_a_process_that_was_killed_is_replaced(of_class, check, bundle_checks, versions):
    check(of_class(versions[1], CLASS + "# first"))
    process = bundle_checks._process
    os.kill(process.pid, signal.SIGKILL)
    check(of_class(versions[1], CLASS + "# second"))
    assert bundle_checks._process.pid != process.pid
    assert not psutil.pid_exists(process.pid)


def test_a_file_that_is_another_by_then_is_tried_again(of_class, bundle_checks, versions, tmp_path):
    (tmp_path / "bundle.zip").write_bytes(versions[1].content)
    content = of_class(versions[0], CLASS + "# another")
    with pytest.raises(NotNowError, match="has changed"):
        bundle_checks.check(tmp_path / "bundle.zip", content)


def test_closing_ends_a_trial_that_is_under_way(of_class, versions, tmp_path):
    bundle_checks = BundleChecks(tmp_path / "bundle_checks")
    path = tmp_path / "bundle.zip"
    path.write_bytes(of_class(versions[0], "import time\ntime.sleep(600)\n" + CLASS))
    raised = []

    def check():
        try:
            bundle_checks.check(path, path.read_bytes())
        except NotNowError as error:
            raised.append(error)

    thread = threading.Thread(target=check)
    thread.start()
    bundle_checks.close()
    thread.join(30)
    assert not thread.is_alive()
    assert raised


def test_a_crashing_bundle_leaves_the_others_served(of_class, bundle_checks, versions, tmp_path):
    """Also by the next server, which knows it."""
    good, bad = versions
    (tmp_path / f"{good.uuid}.zip").write_bytes(good.content)
    (tmp_path / f"{bad.uuid}.zip").write_bytes(of_class(bad, ENDS["crash"][0] + "\n" + CLASS))
    deployed = {"flights/minutes": {"tags": {"bad": bad.uuid, "good": good.uuid}, "uuids": []}}
    (tmp_path / "deployments.json").write_text(json.dumps(deployed))
    for _ in range(2):
        loader = Loader(tmp_path, open_model, lambda table: None, bundle_checks)
        loader.look()
        assert loader.table.route("/models/flights/minutes/good/predict").model.uuid == good.uuid
        (refusal,) = loader.table.refusals
        assert "SIGSEGV" in refusal.reason
        assert refusal.tags == ("bad",)
