"""The project of the tutorial, made of the page's own blocks: it checks, explains and errs as the page says.

What needs servers is not run here.
"""

import importlib
import os
import re
import shlex
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import xgboost

ROOT = Path(__file__).parents[2]
WHOLE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
PAGE = WHOLE.split("\n## Run it\n")[0]
FILES = dict(
    re.findall(r"^`(deliveries/[\w./]+)`[^\n]*:\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
)
FIRST, LAST = datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 22, tzinfo=UTC)


def after(text: str, kind: str) -> str:
    """The first block of a kind after a text of the page."""
    return re.search(rf"```{kind}\n(.*?)```", PAGE.split(text, 1)[1], re.DOTALL)[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of projects, with the files that the page has."""
    folder = tmp_path_factory.mktemp("tutorial")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def giornata(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command as the page has it, in the folder of projects."""
    arguments = shlex.split(command)
    arguments = arguments[arguments.index("giornata") + 1 :]
    return subprocess.run(
        [sys.executable, "-c", "from giornata.cli.main import main; main()", *arguments],
        cwd=folder,
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "GIORNATA_HOME": os.environ["GIORNATA_HOME"],
            "GIORNATA_PROJECTS": str(folder),
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


def test_the_page_makes_a_whole_project() -> None:
    assert {name.removeprefix("deliveries/") for name in FILES} == {
        "project.yaml",
        "made_up.py",
        "tables/orders.yaml",
        "tables/orders.py",
        "tables/arrivals.yaml",
        "tables/arrivals.py",
        "features/cafe_minutes.yaml",
        "models/minutes.yaml",
    }
    made = set(after("Write the project in a folder of its own", "sh").split())
    assert {f"/tmp/tutorial/{Path(name).parent}" for name in FILES} - {"/tmp/tutorial/deliveries"} <= made


def test_it_checks(folder: Path) -> None:
    done = giornata(after("## Check it", "sh"), folder)
    assert (done.returncode, lines(done.stdout)) == (0, lines(after("## Check it", "text")))


def test_the_mistake_is_told_as_the_page_has_it(folder: Path, tmp_path: Path) -> None:
    wrong, right = re.search(r"`(row\.\w+)` instead of `(row\.\w+)`", PAGE).groups()
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        changed = re.sub(rf"{re.escape(right)}$", wrong, text, flags=re.MULTILINE)
        (tmp_path / name).write_text(changed if name.endswith("minutes.yaml") else text)
    done = giornata(after("## Check it", "sh"), tmp_path)
    assert (done.returncode, lines(done.stdout)) == (1, lines(after("Make a mistake", "text")))


def test_it_is_explained_as_the_page_has_it(folder: Path) -> None:
    done = giornata(after("Mend it again", "sh"), folder)
    assert done.returncode == 0, done.stderr
    assert lines(done.stdout) == lines(after("Mend it again", "text"))


@pytest.fixture(scope="module")
def orders(folder: Path) -> list[dict]:
    """All orders of the three weeks."""
    sys.path.insert(0, str(folder))
    try:
        module = importlib.import_module("deliveries.made_up")
    finally:
        sys.path.remove(str(folder))
    days = [FIRST + timedelta(days=day) for day in range((LAST - FIRST).days)]
    by_day = [list(module.orders(day, day + timedelta(days=1))) for day in days]
    whole = list(module.orders(FIRST, LAST))
    assert [order for of_day in by_day for order in of_day] == whole, "a day is the same in any range"
    return whole


def test_the_orders_are_what_the_tables_say(orders: list[dict]) -> None:
    assert len(orders) == len({order["order_id"] for order in orders}) == 21 * 5 * 40
    for order in orders:
        assert FIRST <= order["ordered_at"] < order["arrived_at"] < LAST
        assert order["ordered_at"].date() == order["arrived_at"].date()
        assert order["arrived_at"] - order["ordered_at"] == timedelta(minutes=order["minutes"])


def test_the_errors_are_those_that_the_page_names(orders: list[dict]) -> None:
    """Windows by a plain loop, the model by XGBoost alone."""
    words = r"is (\d\.\d) minutes, that of the mean (\d\.\d); without the two .* it would be (\d\.\d)"
    said = [float(number) for number in re.search(words, WHOLE).groups()]
    matrix, minutes, days = examples(orders)
    learned, asked = (days >= 2) & (days <= 17), days > 17  # 16 days before the 4 before the 22nd
    mean = np.full(asked.sum(), minutes[learned].mean())
    found = [
        error(answers, minutes[asked])
        for answers in (
            predictions(matrix[learned], minutes[learned], matrix[asked]),
            mean,
            predictions(matrix[learned][:, :3], minutes[learned], matrix[asked][:, :3]),
        )
    ]
    assert found == pytest.approx(said, abs=0.06)
    gate = float(re.search(r"gate: {rmse: {max: (\d+)}}", FILES["deliveries/models/minutes.yaml"])[1])
    assert found[0] < gate < found[2]


def examples(orders: list[dict]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The features of each order, its minutes and its day of March."""
    by_day = defaultdict(list)
    for order in orders:
        by_day[order["cafe"], order["ordered_at"].day].append(order)
    cafes = sorted({cafe for cafe, _ in by_day})
    rows = []
    for (cafe, day), of_day in by_day.items():
        for order in of_day:
            at = order["ordered_at"]
            seen = [each["minutes"] for each in of_day if at - timedelta(hours=1) <= each["arrived_at"] < at]
            recent = sum(seen) / len(seen) if seen else np.nan
            rows.append((order["km"], cafes.index(cafe), at.hour, recent, len(seen), order["minutes"], day))
    table = np.array(rows)
    return table[:, :5], table[:, 5], table[:, 6]


def predictions(matrix: np.ndarray, minutes: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Answers with the parameters of the document."""
    model = xgboost.XGBRegressor(n_estimators=100, max_depth=4, learning_rate=0.1, n_jobs=1)
    return model.fit(matrix, minutes).predict(asked)


def error(answers: np.ndarray, actual: np.ndarray) -> float:
    return float(np.sqrt(np.mean((answers - actual) ** 2)))
