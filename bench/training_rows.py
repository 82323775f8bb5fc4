"""Rows of flights as training makes them: a matrix of features, the label, the windows and the parts, in Parquet."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from giornata.dataset import Dataset
from giornata.partitions import key_text, prefixes
from jobs.runtime.session import ROOT
from jobs.training.dataset import LABEL, ORDER, PARTS, WINDOW

__all__ = ["FEATURES", "LEVELS", "flights_matrix", "split", "write_matrix"]

LEVELS = ("dest_state", "dest")
FILES = 4
FEATURES = ("distance", "departure_minute", "departure_weekday", "carrier", "origin", "dep_delay")


def flights_matrix() -> pd.DataFrame:
    """The flights that arrived, ordered by departure: FEATURES as floats, `label` (gate-to-gate minutes), LEVELS."""
    sys.path.insert(0, str(ROOT / "projects"))
    flights = importlib.import_module("flights.nycflights").flights()
    flights = flights[flights.gate_minutes.notna()].sort_values("sched_dep", kind="stable")
    local = flights.sched_dep.dt.tz_convert("America/New_York")
    return pd.DataFrame(
        {
            "distance": flights.distance,
            "departure_minute": local.dt.hour * 60 + local.dt.minute,
            "departure_weekday": local.dt.weekday,
            "carrier": flights.carrier.astype("category").cat.codes,
            "origin": flights.origin.astype("category").cat.codes,
            "dep_delay": flights.dep_delay,
            "label": flights.gate_minutes,
            **{level: flights[level] for level in LEVELS},
        }
    ).astype(dict.fromkeys(FEATURES, np.float32))


def split(frame: pd.DataFrame) -> tuple[Dataset, Dataset]:
    """Rows to learn from and rows to be judged on: the last fifth of the time."""
    cut = len(frame) * 4 // 5

    def of(rows: pd.DataFrame) -> Dataset:
        return Dataset(
            rows[list(FEATURES)].to_numpy(np.float32), rows["label"].to_numpy(np.float64), {}, FEATURES
        )

    return of(frame.iloc[:cut]), of(frame.iloc[cut:])


def write_matrix(frame: pd.DataFrame, folder: Path) -> None:
    """Write the rows as a frame of `jobs.training.dataset.matrix_frame`, with parts by LEVELS, in FILES."""
    cut = len(frame) * 4 // 5
    paths = [*zip(*(frame[level] for level in LEVELS), strict=True)]
    parts = {path: [key_text(key) for key in prefixes(path)] for path in {*paths}}
    table = pa.table(
        {
            **{f"x{place}": frame[name].to_numpy() for place, name in enumerate(FEATURES)},
            LABEL: frame["label"].to_numpy(np.float64),
            WINDOW: np.where(np.arange(len(frame)) < cut, "train", "validation"),
            ORDER: np.arange(len(frame), dtype=np.int64),
            PARTS: pa.array([parts[path] for path in paths], pa.list_(pa.string())),
        }
    )
    folder.mkdir()
    size = -(-len(frame) // FILES)
    for number in range(FILES):
        pq.write_table(table.slice(number * size, size), folder / f"{number}.parquet")
