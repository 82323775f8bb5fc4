"""Checks that run parts of projects: each file's fault at its place, whatever it does to the process that imports
it."""

import json

import pytest

from giornata.documents import dry_run as trials
from giornata.documents import load_project

pytestmark = pytest.mark.processes

LOADER = "\n\ndef load(spark, start, end):\n    return None\n"
TABLE = """\
description: T
key: [order_id]
event_time: delivered_at
columns: {order_id: str, delivered_at: timestamp}
"""


@pytest.fixture
def tried(shop, tmp_path):
    """The findings in the project with other files, as (certain, file, line, column, message); and what was skipped."""

    def run(files=None, memory=None):
        for name, text in (files or {}).items():
            (shop / name).write_text(text)
            if name.startswith("tables/") and name.endswith(".py"):
                (shop / name).with_suffix(".yaml").write_text(TABLE)
        (shop / "tables/orders.py").unlink(missing_ok=True)
        documents = load_project(shop)
        findings, skipped = trials.try_out([documents], memory)
        return [
            (certain, problem.file, problem.line, problem.column, problem.message)
            for problem, certain in findings["shop"]
        ], skipped

    return run


@pytest.mark.timeout(600)
def test_whatever_a_file_does_its_fault_is_told_at_its_place_and_the_others_are_tried(
    tried, shop, tmp_path, monkeypatch
):
    monkeypatch.setattr(trials, "COMPUTING", 4.0)
    memory = tmp_path / "state" / "known.json"
    group = (shop / "features/shop_load.yaml").read_text()
    found, skipped = tried(
        {
            "tables/a_typo.py": "import json\nx = json.laods('1')" + LOADER,
            "tables/b_import.py": "from . import broken_part" + LOADER,
            "tables/c_missing.py": "import numpy, no_such_library" + LOADER,
            "tables/d_ends.py": "import os\nos._exit(3)" + LOADER,
            "tables/e_leaves.py": "import sys\nprint('x')\nsys.exit(0)" + LOADER,
            "tables/f_loops.py": "try:\n    while True:\n        x = 1\nexcept Exception:\n    pass" + LOADER,
            "tables/g_fine.py": "from pyspark.sql import functions as F\nfrom .h_part import seven" + LOADER,
            "tables/h_part.py": "seven = 7" + LOADER,
            "features/shop_load.yaml": group
            + "  - expect_column_values_to_be_between: {column: orders_1h, min_value: 0, mostly: 95}\n"
            + "  - expect_column_values_to_be_in_set: {column: shop, value_set: a}\n"
            + "  - expect_column_values_to_be_between: {column: orders_1h, min_value: 0, mostly: 95%}\n"
            + "  - expect_column_values_to_match_regex: {column: shop, regex: '\\\\p{Lu}(?i)x'}\n"
            + "  - expect_column_values_to_match_regex: {column: shop, regex: 'a(?!b)'}\n"
            + "  - expect_column_values_to_not_match_regex: {column: shop, regex: 'a(b'}\n",
        },
        memory,
    )
    assert skipped == []
    assert [each[:4] for each in found] == [
        (True, "shop/tables/a_typo.py", 2, 5),
        (True, "shop/tables/b_import.py", 1, 1),
        (False, "shop/tables/c_missing.py", 1, 1),
        (True, "shop/tables/d_ends.py", 1, 1),
        (True, "shop/tables/e_leaves.py", 3, 1),
        (True, "shop/tables/f_loops.py", *found[5][2:4]),
        (True, "shop/features/shop_load.yaml", 11, 83),
        (True, "shop/features/shop_load.yaml", 12, 66),
        (True, "shop/features/shop_load.yaml", 16, 68),
    ]
    assert found[5][2] in (2, 3)
    messages = [each[4] for each in found]
    assert "AttributeError: module 'json' has no attribute 'laods'" in messages[0]
    assert "no_such_library" in messages[2]
    assert messages[3] == "the process that tries this out ended by itself (exit code 3)"
    assert messages[5] == "this computes for 4 s, or waits for 60 s"
    assert "less than or equal to 1" in messages[6]
    assert "value is not a valid list" in messages[7]
    assert messages[8].endswith(
        "'a(b' is no regular expression: missing ), unterminated subpattern at position 1"
    )
    assert not list(shop.rglob("__pycache__"))

    # What Great Expectations said is remembered; other arguments are asked about.
    stored = json.loads(memory.read_text())
    assert len(stored["said"]) == 7
    for name in "abcdef":
        for file in shop.glob(f"tables/{name}_*"):
            file.unlink()
    stored["said"] = {digest: [{"message": "remembered"}] for digest in stored["said"]}
    memory.write_text(json.dumps(stored))
    again, _ = tried({}, memory)
    assert [each[4] for each in again] == ["Great Expectations does not take this: remembered"] * 7


def test_parameters_that_a_class_does_not_take_are_told_in_the_document(tried, shop):
    model = (shop / "models/hours.yaml").read_text()
    source = "    def fit(self, examples, setting): ...\n    def predict(self, matrix): ...\n"
    source += "    def save(self): ...\n    def load(self, files): ...\n    @staticmethod\n    def check(parameters):\n"
    files = {
        "models/halves.py": f"class Halves:\n{source}        raise ValueError('too deep')\n",
        "models/hours.yaml": model.replace("type: xgboost", "type: custom\nclass: halves.Halves"),
        "features/shop_load.yaml": (shop / "features/shop_load.yaml").read_text().partition("expect:")[0],
    }
    found, skipped = tried(files)
    place = (True, "shop/models/hours.yaml", 13, 1)
    assert (found, skipped) == ([(*place, "class Halves: too deep")], [])


def test_a_state_that_cannot_be_read_or_written_is_no_hindrance(tried, monkeypatch, tmp_path):
    monkeypatch.setattr(trials, "_run", lambda tasks, skipped: {place: [] for place in range(len(tasks))})
    (tmp_path / "file").write_text("[1, 2")
    for memory in (tmp_path / "file", tmp_path / "file" / "below", None):
        assert tried({}, memory) == ([], [])


def test_without_great_expectations_it_is_said_that_nobody_asked_it(tried, monkeypatch):
    monkeypatch.setattr(trials, "_run", lambda tasks, skipped: {})
    monkeypatch.setattr(trials, "_ENGINE", "no_such_engine")
    assert tried() == ([], ["arguments of expectations: Great Expectations is not installed here"])


def test_without_jobs_nothing_is_tried_out(tried, monkeypatch, tmp_path):
    monkeypatch.setattr(trials, "JOB", tmp_path / "jobs" / "check_code.py")
    found, (skipped,) = tried()
    assert found == []
    assert "lacks its jobs" in skipped
