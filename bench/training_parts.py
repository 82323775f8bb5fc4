"""Models of parts fitted on two executors, beside a plain loop over the same groups in one process."""

from pathlib import Path
from time import perf_counter

import numpy as np
from pyspark.sql import SparkSession

from bench.figures import show
from bench.training_rows import FEATURES, flights_matrix, write_matrix
from giornata.models import model_type
from giornata.models.base import Examples
from jobs.parts import Recipe, fit_parts

PARAMETERS = {"n_estimators": 100, "max_depth": 4, "learning_rate": 0.1}
MIN_ROWS = 200


def beside_a_loop(spark: SparkSession, folder: Path) -> None:
    """Print models a second; both give the same bytes."""
    frame = flights_matrix()
    frame = frame[frame.groupby("dest")["dest"].transform("size") >= MIN_ROWS].reset_index(drop=True)
    write_matrix(frame, folder / "matrix.parquet")
    matrix = spark.read.parquet(str(folder / "matrix.parquet"))
    type_ = model_type("xgboost")
    recipe = Recipe(type_, "regression", [PARAMETERS], 0, len(FEATURES), {}, FEATURES)
    keys = sorted((dest,) for dest in frame["dest"].unique())

    def ours() -> dict[object, bytes]:
        fitted = fit_parts(matrix, [(key, 0) for key in keys], ["train", "validation"], recipe, 8)
        return {key: part.files["model.ubj"] for (key, _), part in fitted.items()}

    def loop() -> dict[object, bytes]:
        models = {}
        for dest, rows in frame.groupby("dest"):
            values = rows[list(FEATURES)].to_numpy(np.float32)
            examples = Examples(values, rows["label"].to_numpy(np.float64), {}, FEATURES)
            models[(dest,)] = type_.fit(examples, "regression", PARAMETERS, 0).to_files()["model.ubj"]
        return models

    ours()  # the executors' Python begins, XGBoost is imported
    taken = {}
    models = {}
    for way in (ours, loop):
        began = perf_counter()
        models[way] = way()
        taken[way] = perf_counter() - began
    rates = {way: len(keys) / seconds for way, seconds in taken.items()}
    show(
        f"{len(keys)} parts of {len(frame)} rows",
        f"{rates[ours]:.1f} models/s",
        f"loop {rates[loop]:.1f} models/s",
        rates[ours] / rates[loop],
        1.5,
    )
    same = sum(models[ours][key] == models[loop][key] for key in keys)
    print(f"    {same} of {len(keys)} models have the same bytes")
