"""A search on two executors, beside the same Optuna study in one process and MLflow's study on Spark."""

import os
from pathlib import Path
from time import perf_counter

import optuna
from mlflow.optuna.storage import MlflowStorage
from mlflow.pyspark.optuna.study import MlflowSparkStudy
from mlflow.tracking import MlflowClient
from pyspark.sql import SparkSession

from bench.figures import show
from bench.training_rows import flights_matrix, split
from giornata.documents.model import Dimension, Search
from giornata.evaluation.metrics import metrics
from giornata.models import model_type
from giornata.models.pruning import CurveWatch
from giornata.models.search import best_trial, search
from jobs.trials import TrialData, in_flight, trial_runner

ROWS = 120_000
PARAMETERS = {"n_estimators": 60, "max_depth": 4}
SPACE = {"max_depth": Dimension(int=[3, 6]), "learning_rate": Dimension(float=[0.05, 0.3], log=True)}


def beside_serial_and_mlflow(spark: SparkSession, folder: Path, trials: int) -> None:
    """Print the seconds of each; none prunes, and all keep the curve of a fit, so that all do the same work."""
    train, validation = split(flights_matrix().sample(ROWS, random_state=0).sort_index())
    type_ = model_type("xgboost")

    def value(parameters: dict[str, object]) -> float:
        fitted = type_.fit(train, "regression", parameters, 0, validation=validation, watch=CurveWatch({}))
        return metrics("regression", validation.target, fitted.predict(validation.matrix))["rmse"]

    def objective(trial: optuna.Trial) -> float:
        return value(
            {
                **PARAMETERS,
                "max_depth": trial.suggest_int("max_depth", 3, 6),
                "learning_rate": trial.suggest_float("learning_rate", 0.05, 0.3, log=True),
            }
        )

    def ours() -> float:
        plan = Search(trials=trials, metric="rmse", space=SPACE, seed=0, pruning="none")
        data = TrialData(train, validation)
        with trial_runner(spark, 2, data, type_, "regression", "rmse", 0) as runner:
            records = [*search(runner.submit, PARAMETERS, plan, in_flight(2))]
        return best_trial(records, "rmse").value

    def serial() -> float:
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
        study.optimize(objective, n_trials=trials)
        return study.best_value

    def mlflow() -> float:
        address = f"sqlite:///{folder}/mlflow.db"
        os.environ["MLFLOW_TRACKING_URI"] = address
        experiment = MlflowClient(address).create_experiment("bench", str(folder / "artifacts"))
        study = MlflowSparkStudy(
            "bench", MlflowStorage(experiment_id=experiment), mlflow_tracking_uri=address
        )
        study.optimize(objective, n_trials=trials, n_jobs=2)
        return study.best_value

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ours()  # the executors' Python begins, XGBoost is imported
    taken, best = {}, {}
    for way in (ours, serial, mlflow):
        began = perf_counter()
        best[way] = way()
        taken[way] = perf_counter() - began
    for peer, name, goal in ((serial, "Optuna alone", 1.5), (mlflow, "MLflow's Spark study", 3.0)):
        show(
            f"search of {trials} trials, x of {name}",
            f"{taken[ours]:.1f} s",
            f"{taken[peer]:.1f} s",
            taken[peer] / taken[ours],
            goal,
        )
    found = ", ".join(f"{way.__name__} {number:.3f}" for way, number in best.items())
    print(f"    best rmse of {ROWS} rows: {found}")
