"""Gradient-boosted trees by XGBoost, for regression and binary classification.

XGBoost is imported when it is first used: its import takes seconds where scikit-learn and pandas are installed.
"""

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from giornata.documents.model import Dimension, Scalar
from giornata.errors import BundleError
from giornata.models.base import FitError, Matrix, ParameterError, Parameters, Vector

if TYPE_CHECKING:
    from xgboost import Booster

__all__ = ["BoostedTrees", "BoostedTreesType"]

_FILE = "model.ubj"
_OBJECTIVES = {"regression": "reg:squarederror", "binary": "binary:logistic"}
_STOP_METRICS = {"regression": "rmse", "binary": "logloss"}
_DEFAULT_ROUNDS = 100

# Lowest and highest value of each parameter; None is open. XGBoost itself only warns of a misspelt one.
_WHOLE: dict[str, tuple[float, float | None]] = {
    "n_estimators": (1, None),
    "max_depth": (0, None),
    "max_leaves": (0, None),
    "max_bin": (2, None),
    "num_parallel_tree": (1, None),
    "early_stopping_rounds": (1, None),
}
_REAL: dict[str, tuple[float, float | None]] = {
    "learning_rate": (0, 1),
    "min_child_weight": (0, None),
    "min_split_loss": (0, None),
    "max_delta_step": (0, None),
    "subsample": (0, 1),
    "colsample_bytree": (0, 1),
    "colsample_bylevel": (0, 1),
    "colsample_bynode": (0, 1),
    "reg_alpha": (0, None),
    "reg_lambda": (0, None),
    "scale_pos_weight": (0, None),
}
_CHOICES = {"grow_policy": ("depthwise", "lossguide")}


class BoostedTrees:
    """A fitted ensemble, trimmed to the trees that it answers with, which answers on one thread."""

    def __init__(self, booster: "Booster"):
        booster.set_param({"nthread": 1})
        self._booster = booster

    @property
    def rounds(self) -> int:
        return int(self._booster.num_boosted_rounds())

    def predict(self, matrix: Matrix) -> Vector:
        return np.asarray(self._booster.inplace_predict(matrix, missing=np.nan), np.float64)

    def to_files(self) -> dict[str, bytes]:
        return {_FILE: bytes(self._booster.save_raw("ubj"))}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        from xgboost import Booster
        from xgboost.core import XGBoostError

        if set(files) != {_FILE}:
            raise BundleError(f"boosted trees are kept in {_FILE}, not in {', '.join(files) or 'no file'}")
        booster = Booster()
        try:
            booster.load_model(bytearray(files[_FILE]))
        except XGBoostError as error:
            raise BundleError(f"{_FILE} holds no model that XGBoost reads: {_first_line(error)}") from error
        return cls(booster)

    def importance(self) -> dict[int, float]:
        gains = {int(name[1:]): float(gain) for name, gain in self._gains().items()}
        total = sum(gains.values())
        return {feature: gain / total for feature, gain in sorted(gains.items())} if total > 0 else {}

    def size(self) -> dict[str, int]:
        trees = self._booster.get_dump()
        return {"trees": len(trees), "nodes": sum(tree.count("\n") for tree in trees)}

    def _gains(self) -> dict[str, Any]:
        return self._booster.get_score(importance_type="total_gain")


class BoostedTreesType:
    """XGBoost's histogram method, by the names that its scikit-learn interface gives the parameters."""

    fitted = BoostedTrees

    def check(self, parameters: Parameters, space: Mapping[str, Dimension]) -> None:
        for name, value in parameters.items():
            self._check_value(name, value)
        for name, dimension in space.items():
            for value in dimension.choice or dimension.integers or dimension.floats or ():
                self._check_value(name, value)

    def default_space(self) -> dict[str, Dimension]:
        return {
            "max_depth": Dimension(int=[2, 8]),
            "learning_rate": Dimension(float=[0.02, 0.3], log=True),
            "min_child_weight": Dimension(float=[1, 50], log=True),
            "subsample": Dimension(float=[0.5, 1]),
            "colsample_bytree": Dimension(float=[0.5, 1]),
            "reg_lambda": Dimension(float=[0.1, 10], log=True),
        }

    def with_rounds(self, parameters: Parameters, rounds: int) -> dict[str, Scalar]:
        return {k: v for k, v in parameters.items() if k != "early_stopping_rounds"} | {
            "n_estimators": rounds
        }

    def fit(
        self,
        matrix: Matrix,
        target: Vector,
        task: str,
        parameters: Parameters,
        seed: int,
        threads: int = 1,
        validation: tuple[Matrix, Vector] | None = None,
    ) -> BoostedTrees:
        import xgboost
        from xgboost.core import XGBoostError

        self.check(parameters, {})
        options = dict(parameters)
        rounds = int(options.pop("n_estimators", _DEFAULT_ROUNDS))
        patience = options.pop("early_stopping_rounds", None)
        if patience is not None and validation is None:
            raise FitError("early_stopping_rounds needs validation rows to stop by, and there are none")
        options |= {
            "objective": _OBJECTIVES[task],
            "eval_metric": _STOP_METRICS[task],
            "tree_method": "hist",
            "seed": seed,
            "nthread": threads,
            "verbosity": 1,
        }
        try:
            data = xgboost.DMatrix(matrix, target, nthread=threads)
            if patience is None or validation is None:
                return BoostedTrees(xgboost.train(options, data, rounds))
            watched = [(xgboost.DMatrix(*validation, nthread=threads), "validation")]
            booster = xgboost.train(
                options, data, rounds, evals=watched, early_stopping_rounds=int(patience), verbose_eval=False
            )
            # XGBoost predicts with the trees after the best one too, unless they are cut off.
            return BoostedTrees(booster[: booster.best_iteration + 1])
        except XGBoostError as error:
            raise FitError(f"XGBoost cannot fit {matrix.shape[0]} rows: {_first_line(error)}") from error

    def _check_value(self, name: str, value: Scalar) -> None:
        if name in _CHOICES:
            if value not in _CHOICES[name]:
                raise ParameterError(f"parameter {name} is one of {', '.join(_CHOICES[name])}, not {value!r}")
            return
        ranges = _WHOLE | _REAL
        if name not in ranges:
            near = difflib.get_close_matches(name, [*ranges, *_CHOICES], n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join([*ranges, *_CHOICES])}"
            raise ParameterError(f"xgboost has no parameter {name!r}{hint}")
        number = int if name in _WHOLE else (int, float)
        low, high = ranges[name]
        if isinstance(value, bool) or not isinstance(value, number):
            kind = "a whole number" if name in _WHOLE else "a number"
            raise ParameterError(f"parameter {name} is {kind}, not {value!r}")
        if (low is not None and value < low) or (high is not None and value > high):
            limits = f"at least {low:g}" + (f" and at most {high:g}" if high is not None else "")
            raise ParameterError(f"parameter {name} is {limits}, not {value!r}")


def _first_line(error: Exception) -> str:
    """The line of an XGBoost error that says what is wrong; a C++ stack trace follows it."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].split("] ", 1)[-1] if lines else type(error).__name__
