"""Gradient-boosted trees by XGBoost for regression, quantiles, binary and multiclass.

Quantiles are fitted side by side, and may cross where rows are few: a row's values are put in order, which never raises
their pinball loss. XGBoost is imported when it is first used: its import takes seconds if scikit-learn and pandas are
installed.

Labels far from 0 are fitted without their offset (see `giornata.models.trees.label_offset`). The file keeps it as the
attribute `offset` of XGBoost's model: XGBoost alone predicts without it.
"""

import json
import math
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakKeyDictionary

import numpy as np

from giornata.dataset import Dataset, Matrix, Predictions
from giornata.errors import BundleError
from giornata.models.base import Callback, FitError, FitRequest, FittedModel, Parameters
from giornata.models.classes import places_of, scaled_to_one
from giornata.models.files import check_names
from giornata.models.trees.label_offset import offset_of
from giornata.models.xgboost.file_check import check_trees
from giornata.models.xgboost.model_type import OBJECTIVES
from giornata.tasks import TASKS

if TYPE_CHECKING:
    from xgboost import Booster, DMatrix
    from xgboost.callback import TrainingCallback

__all__ = ["BoostedTrees", "fit", "options_of", "shift_of"]

_FILE, _OFFSET = "model.ubj", "offset"
_CLASSES, _QUANTILES = OBJECTIVES["multiclass"].name, OBJECTIVES["quantile"].name


class _Prepared(threading.local):
    """XGBoost's own form of rows, with the offset that was subtracted from their labels, kept while somebody holds the
    rows: so the trials of a search bin them once, which for some thirty features is half of a fit of sixty trees. One
    per thread, since a fit changes it."""

    def __init__(self) -> None:
        self.forms: WeakKeyDictionary[Dataset, tuple[DMatrix, float]] = WeakKeyDictionary()


_PREPARED = _Prepared()


class BoostedTrees(FittedModel):
    """A fitted ensemble, trimmed to the trees that it predicts with, on one thread."""

    def __init__(self, booster: "Booster", offset: float = 0.0):
        """Predictions are the booster's plus `offset`."""
        booster.set_param({"nthread": 1})
        if offset:
            booster.set_attr(**{_OFFSET: repr(offset)})
        self._booster, self._offset = booster, offset
        learner = json.loads(booster.save_config())["learner"]
        self._objective = learner["objective"]["name"]
        sizes = learner["learner_model_param"]
        self._outputs = max(int(sizes["num_class"]), int(sizes["num_target"]))

    @property
    def rounds(self) -> int:
        return int(self._booster.num_boosted_rounds())

    def predict(self, matrix: Matrix) -> Predictions:
        answers = np.asarray(self._booster.inplace_predict(matrix, missing=np.nan), np.float64)
        if self._objective == _CLASSES:
            return scaled_to_one(answers.reshape(len(matrix), self._outputs))
        if self._objective == _QUANTILES:
            answers = np.sort(answers.reshape(len(matrix), self._outputs), axis=1)
        return answers + self._offset if self._offset else answers

    def to_files(self) -> dict[str, bytes]:
        return {_FILE: bytes(self._booster.save_raw("ubj"))}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        from xgboost import Booster
        from xgboost.core import XGBoostError

        check_names(files, [_FILE], "boosted trees are")
        booster = Booster()
        try:
            booster.load_model(bytearray(files[_FILE]))
        except XGBoostError as error:
            raise BundleError(f"{_FILE} holds no model that XGBoost reads: {_first_line(error)}") from error
        return cls(booster, _offset(booster))

    @classmethod
    def check_files(cls, files: Mapping[str, bytes]) -> None:
        """Check the files before XGBoost reads them. Raises BundleError for content that could make it read outside its
        memory."""
        for content in files.values():
            check_trees(content, {task: objective.name for task, objective in OBJECTIVES.items()})

    def importance(self) -> dict[int, float]:
        gains = {int(name[1:]): float(gain) for name, gain in self._gains().items()}
        total = sum(gains.values())
        return {feature: gain / total for feature, gain in sorted(gains.items())} if total > 0 else {}

    def size(self) -> dict[str, int]:
        trees = self._booster.get_dump()
        return {"trees": len(trees), "nodes": sum(tree.count("\n") for tree in trees)}

    def _gains(self) -> dict[str, Any]:
        return self._booster.get_score(importance_type="total_gain")


def fit(request: FitRequest) -> BoostedTrees:
    """Trees fitted to checked rows."""
    import xgboost
    from xgboost.core import XGBoostError

    examples, task, parameters, threads = request.examples, request.task, request.parameters, request.threads
    validation, watch = request.validation, request.watch
    patience = parameters.get("early_stopping_rounds")
    if patience is not None and validation is None:
        raise FitError("early_stopping_rounds needs validation rows to stop by, and there are none")
    options, rounds = options_of(examples, task, parameters, request.seed)
    options["nthread"] = threads
    offset = shift_of(examples, task)
    try:
        data = _prepared(examples, offset, threads)
        if validation is None:
            return BoostedTrees(xgboost.train(options, data, rounds), offset)
        booster = xgboost.train(
            options,
            data,
            rounds,
            evals=[(_prepared(validation, offset, threads), "validation")],
            early_stopping_rounds=None if patience is None else int(patience),
            callbacks=[_telling(watch)] if watch else None,
            verbose_eval=False,
        )
    except XGBoostError as error:
        raise FitError(f"XGBoost cannot fit {len(examples.target)} rows: {_first_line(error)}") from error
    # XGBoost predicts with the trees after the best one too, unless they are cut off.
    return BoostedTrees(booster if patience is None else booster[: booster.best_iteration + 1], offset)


def _prepared(examples: Dataset, offset: float, threads: int) -> "DMatrix":
    """The rows with their labels less `offset`; validation rows have that of the training rows."""
    from xgboost import DMatrix

    known = _PREPARED.forms.get(examples)
    if known and known[1] == offset:
        return known[0]
    target = examples.target - offset
    if known:
        form = known[0]
        form.set_label(target)
    else:
        form = DMatrix(examples.matrix, target, nthread=threads)
    _PREPARED.forms[examples] = form, offset
    return form


def _offset(booster: "Booster") -> float:
    """The offset stored in a booster. Raises BundleError if it is not a number."""
    text = booster.attr(_OFFSET)
    try:
        offset = float(text or 0)
    except ValueError:
        offset = math.nan
    if not math.isfinite(offset):
        raise BundleError(f"{_FILE} holds an offset that is no number: {text!r}")
    return offset


def shift_of(examples: Dataset, task: str) -> float:
    """The offset of labels for a fit: only squared and pinball errors do not depend on it."""
    return offset_of(examples.target) if TASKS[task].label == "number" else 0.0


def options_of(examples: Dataset, task: str, parameters: Parameters, seed: int) -> tuple[dict[str, Any], int]:
    """XGBoost's own options for the parameters, without the number of threads, and the number of rounds."""
    options = {
        name: value
        for name, value in parameters.items()
        if name not in ("n_estimators", "early_stopping_rounds")
    }
    options |= {
        **_objective(examples, task),
        "eval_metric": OBJECTIVES[task].stop_metric,
        "tree_method": "hist",
        "seed": seed,
        "verbosity": 1,
    }
    return options, int(parameters["n_estimators"])


def _objective(examples: Dataset, task: str) -> dict[str, Any]:
    """XGBoost's objective, and the number of outputs."""
    objective: dict[str, Any] = {"objective": OBJECTIVES[task].name}
    if task == "multiclass":
        places_of(examples)
        objective["num_class"] = len(examples.outputs)
    elif task == "quantile":
        objective["quantile_alpha"] = [float(share) for share in examples.outputs]
    return objective


def _telling(watch: Callback) -> "TrainingCallback":
    """A callback of XGBoost that calls `watch` with the loss of every round."""
    from xgboost.callback import TrainingCallback

    class Telling(TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            (losses,) = evals_log["validation"].values()
            watch(epoch + 1, float(losses[-1]))
            return False

    return Telling()


def _first_line(error: Exception) -> str:
    """The line of an XGBoost error that says what is wrong; a C++ stack trace follows it."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].split("] ", 1)[-1] if lines else type(error).__name__
