"""Reports the results of a benchmark: a line per figure, and all of them in one JSON file."""

import json
import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["FOLDER", "Figure", "percentile", "recorded", "show"]

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "bench"


@dataclass(frozen=True)
class Figure:
    """A measurement of Giornata and of a peer; the goal is the lowest ratio wanted, or the highest (`at_most`)."""

    name: str
    ours: str
    peer: str
    ratio: float
    goal: float
    at_most: bool
    met: bool


_shown: list[Figure] = []


def show(name: str, ours: str, peer: str, ratio: float, goal: float, at_most: bool = False) -> None:
    """Print `name ours peer ratio goal met|short`; the goal is the lowest ratio wanted, or the highest."""
    met = ratio <= goal if at_most else ratio >= goal
    _shown.append(Figure(name, ours, peer, ratio, goal, at_most, met))
    sign = "<=" if at_most else ">="
    print(
        f"{name:<44} {ours:>14} {peer:>22}   {ratio:7.2f}  {sign} {goal:<5g} {'met' if met else 'short'}",
        flush=True,
    )


@contextmanager
def recorded(benchmark: str, folder: Path = FOLDER) -> Iterator[None]:
    """Write the figures that are shown inside, with machine, commit and date, to `<benchmark>.json` in the folder.

    If a benchmark fails or is interrupted, the file has the figures until then.
    """
    _shown.clear()
    written = {"benchmark": benchmark, "date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "commit": _commit()}
    written |= {"machine": _machine()}
    print(f"{os.cpu_count()} cores, load average {_load()}", flush=True)
    try:
        yield
    finally:
        written |= {"figures": [asdict(figure) for figure in _shown]}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{benchmark}.json").write_text(json.dumps(written, indent=2) + "\n")
        print(f"load average {_load()}; the figures are in {folder / benchmark}.json", flush=True)


def percentile(seconds: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed."""
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share))]


def _commit() -> str | None:
    """The commit of this checkout, `-dirty` where files differ from it; None outside of one."""
    asked = ["git", "describe", "--always", "--dirty", "--exclude=*", "--abbrev=40"]
    try:
        return subprocess.run(asked, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _machine() -> dict[str, object]:
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def _processor() -> str:
    """Linux's name of the processor; elsewhere the name of its architecture."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text().splitlines() if described.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _load() -> str:
    return " ".join(f"{load:.1f}" for load in os.getloadavg())
