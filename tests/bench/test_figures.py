"""Output of benchmarks, and the list of them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import benchmarks, main
from bench.figures import percentile, recorded, show

ROOT = Path(__file__).parents[2]


def test_a_figure_is_met_from_its_goal_on(capsys: pytest.CaptureFixture[str]) -> None:
    for ratio in (2.9, 3.0, 3.1):
        show("read", "1 ms", "3 ms", ratio, 3)
        show("growth", "1 ms", "3 ms", ratio, 3, at_most=True)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[-1] for line in lines] == ["short", "met", "met", "met", "met", "short"]
    assert lines[0] == ["read", "1", "ms", "3", "ms", "2.90", ">=", "3", "short"]


def test_figures_are_written_with_machine_commit_and_date(tmp_path: Path) -> None:
    show("of another benchmark", "1", "1", 1, 1)
    with recorded("walk", tmp_path / "new"):
        show("read", "1 ms", "3 ms", 3.0, 2.5)
        show("growth", "4 s", "1 s", 4.0, 3, at_most=True)
    written = json.loads((tmp_path / "new" / "walk.json").read_text())
    assert written["figures"] == [
        {"name": "read", "ours": "1 ms", "peer": "3 ms", "ratio": 3.0, "goal": 2.5, "at_most": False, "met": True},
        {"name": "growth", "ours": "4 s", "peer": "1 s", "ratio": 4.0, "goal": 3, "at_most": True, "met": False},
    ]  # fmt: skip
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert written["commit"].removesuffix("-dirty") == head.stdout.strip()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", written["date"])
    assert written["benchmark"] == "walk"
    assert written["machine"]["cores"] >= 1
    assert written["machine"]["processor"]


def test_a_benchmark_that_fails_leaves_its_figures(tmp_path: Path) -> None:
    def differ() -> None:
        with recorded("walk", tmp_path):
            show("read", "1 ms", "3 ms", 3.0, 2.5)
            raise SystemExit("the answers differ")

    with pytest.raises(SystemExit, match="the answers differ"):
        differ()
    assert [figure["name"] for figure in json.loads((tmp_path / "walk.json").read_text())["figures"]] == [
        "read"
    ]


def test_percentile() -> None:
    assert percentile(range(100), 0.5) == 50
    assert percentile([3.0, 1.0, 2.0], 0.95) == 3.0


def test_every_benchmark_writes_its_own_file() -> None:
    assert {"dsl", "functions", "feature_store", "training", "packed_rows"} <= set(benchmarks())
    for name, (line, _) in benchmarks().items():
        assert f'recorded("{name}")' in (ROOT / "bench" / f"{name}.py").read_text(), name
        assert line.endswith("."), name


def test_benchmarks_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == list(benchmarks())
    assert main(["dls"]) == 2
    assert "there is no benchmark 'dls'; there are day_chain, dsl, " in capsys.readouterr().err


def test_a_benchmark_runs_as_a_file_as_well() -> None:
    """Its folder holds a `dsl.py`, which is not the package of that name."""
    command = [sys.executable, "bench/dsl.py", "--help"]
    assert "--rows" in subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
