"""Models of parts fitted on two executors, beside a plain loop over the same groups in one process.

Both begin with the rows in memory, as training has them, and end with the models' bytes.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession

from bench.figures import show
from bench.training_rows import FEATURES, LEVELS, flights_matrix, write_matrix
from giornata.dataset import Dataset
from giornata.models import model_type
from giornata.partitions import Key
from giornata.schema import Scalar
from jobs.training.part_fitting import FitConfig, fit_parts

TYPE = model_type("xgboost")
MIN_ROWS = 200
REPEATS = 3
WARM_UPS = 2  # the executors' Python begins and imports XGBoost, Java compiles
TASKS = 8
# Small models, where what Spark itself takes is a large share, and usual ones.
SIZES = ({"n_estimators": 100, "max_depth": 4}, {"n_estimators": 300, "max_depth": 6})


def beside_a_loop(spark: SparkSession, folder: Path) -> None:
    """Print models a second, the median of REPEATS, of all flights, each state and each airport."""
    frame = flights_matrix()
    write_matrix(frame, folder / "matrix")
    matrix = spark.read.parquet(str(folder / "matrix")).persist()
    sizes = {key: len(rows) for key, rows in _groups(frame)}
    for _ in range(WARM_UPS):
        _on_executors(matrix, sizes, SIZES[0])
    for parameters in SIZES:
        taken: dict[str, list[float]] = {"ours": [], "loop": []}
        for _ in range(REPEATS):
            began = perf_counter()
            ours = _on_executors(matrix, sizes, parameters)
            between = perf_counter()
            loop = _in_a_loop(frame, parameters)
            taken["ours"].append(between - began)
            taken["loop"].append(perf_counter() - between)
        rates = {way: len(sizes) / median(seconds) for way, seconds in taken.items()}
        show(
            f"{len(sizes)} parts, {parameters['n_estimators']} trees of depth {parameters['max_depth']}",
            f"{rates['ours']:.1f} models/s",
            f"loop {rates['loop']:.1f} models/s",
            rates["ours"] / rates["loop"],
            1.5,
        )
        same = sum(ours[key] == loop[key] for key in sizes)
        print(f"    {len(frame)} rows; {same} of {len(sizes)} models have the same bytes")


def _groups(rows: pd.DataFrame) -> Iterator[tuple[Key, pd.DataFrame]]:
    """All rows, and those of each group of at least MIN_ROWS of each of the LEVELS."""
    yield (), rows
    for depth in range(1, len(LEVELS) + 1):
        for key, own in rows.groupby([*LEVELS[:depth]]):
            if len(own) >= MIN_ROWS:
                yield key, own


def _on_executors(
    matrix: DataFrame, sizes: Mapping[Key, int], parameters: Mapping[str, Scalar]
) -> dict[Key, bytes]:
    config = FitConfig(TYPE, "regression", [parameters], 0, len(FEATURES), {}, FEATURES)
    candidates = {(key, 0): rows for key, rows in sizes.items()}
    fitted = fit_parts(matrix, candidates, ["train", "validation"], config, TASKS)
    return {key: part.files["model.ubj"] for (key, _), part in fitted.items()}


def _in_a_loop(frame: pd.DataFrame, parameters: Mapping[str, Scalar]) -> dict[Key, bytes]:
    models = {}
    for key, rows in _groups(frame):
        values, target = rows[[*FEATURES]].to_numpy(np.float32), rows["label"].to_numpy(np.float64)
        examples = Dataset(values, target, {}, FEATURES)
        models[key] = TYPE.fit(examples, "regression", parameters, 0).to_files()["model.ubj"]
    return models
