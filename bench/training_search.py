"""A search on two executors, beside the same Optuna study in one process and MLflow's study on Spark.

The peers' objective is what their users write: XGBoost by hand, its rows handed over in every trial; and, beside it,
handed over once, which MLflow's study cannot do.
"""

import os
from pathlib import Path
from time import perf_counter

import optuna
import xgboost
from mlflow.optuna.storage import MlflowStorage
from mlflow.pyspark.optuna.study import MlflowSparkStudy
from mlflow.tracking import MlflowClient
from pyspark.sql import SparkSession

from bench.figures import show
from bench.training_rows import flights_matrix, split
from giornata.documents.model import Search
from giornata.models import model_type
from giornata.models.search_space import Dimension
from giornata.search.optuna_search import best_trial, search
from jobs.training.search_data import MAX_SEARCH_ROWS
from jobs.training.trials import TrialData, in_flight, trial_runner

ROWS = MAX_SEARCH_ROWS
PARAMETERS = {"n_estimators": 60, "max_depth": 4}
SPACE = {"max_depth": Dimension(int=[3, 6]), "learning_rate": Dimension(float=[0.05, 0.3], log=True)}


def beside_serial_and_mlflow(spark: SparkSession, folder: Path, trials: int) -> None:
    """Print the seconds of each; none prunes, and all keep the curve of a fit, so that all do the same work."""
    train, validation = split(flights_matrix().sample(ROWS, random_state=0).sort_index())
    type_ = model_type("xgboost")

    def handed_over() -> tuple[xgboost.DMatrix, xgboost.DMatrix]:
        return tuple(xgboost.DMatrix(rows.matrix, rows.target, nthread=1) for rows in (train, validation))

    def value(trial: optuna.Trial, rows: tuple[xgboost.DMatrix, xgboost.DMatrix]) -> float:
        options = {
            "objective": "reg:squarederror",
            "tree_method": "hist",
            "nthread": 1,
            "max_depth": trial.suggest_int("max_depth", 3, 6),
            "learning_rate": trial.suggest_float("learning_rate", 0.05, 0.3, log=True),
        }
        curve: dict[str, dict[str, list[float]]] = {}
        rounds = PARAMETERS["n_estimators"]
        xgboost.train(
            options, rows[0], rounds, evals=[(rows[1], "validation")], evals_result=curve, verbose_eval=False
        )
        return curve["validation"]["rmse"][-1]

    def objective(trial: optuna.Trial) -> float:
        return value(trial, handed_over())

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

    def once() -> float:
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
        rows = handed_over()
        study.optimize(lambda trial: value(trial, rows), n_trials=trials)
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
    for way in (ours, serial, once, mlflow):
        began = perf_counter()
        best[way] = way()
        taken[way] = perf_counter() - began
    peers = (
        (serial, "Optuna alone", 1.5),
        (once, "it with its rows prepared once", 1.5),
        (mlflow, "MLflow's Spark study", 3.0),
    )
    for peer, name, goal in peers:
        show(
            f"search of {trials} trials, x of {name}",
            f"{taken[ours]:.1f} s",
            f"{taken[peer]:.1f} s",
            taken[peer] / taken[ours],
            goal,
        )
    found = ", ".join(f"{way.__name__} {number:.3f}" for way, number in best.items())
    print(f"    best rmse of {ROWS} rows: {found}")
