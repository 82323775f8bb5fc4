"""Importance of the parameters in a finished search."""

import warnings
from collections.abc import Mapping, Sequence

import optuna

from giornata.models.search_space import Dimension
from giornata.records.model_version import TrialRecord

__all__ = ["LEAST_TRIALS", "parameter_importances"]

LEAST_TRIALS = 8
"""Complete trials needed for a report: a forest over fewer points only reports noise."""


def parameter_importances(
    trials: Sequence[TrialRecord], space: Mapping[str, Dimension], seed: int
) -> dict[str, float]:
    """The share of the metric's variance that each parameter explains over the space, largest first (fANOVA, Hutter et
    al. 2014, as Optuna computes it); empty if the trials are too few or all equal."""
    study = optuna.create_study()
    for trial in trials:
        # The document's own parameters, which are tried first, may lie outside of the space.
        inside = all(name in trial.parameters and space[name].holds(trial.parameters[name]) for name in space)
        if trial.value is not None and inside:
            drawn = {name: trial.parameters[name] for name in space}
            study.add_trial(
                optuna.trial.create_trial(
                    params=drawn, distributions=_distributions(space), value=trial.value
                )
            )
    values = {trial.value for trial in study.trials}
    if len(study.trials) < LEAST_TRIALS or len(values) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(share) for name, share in shares.items()}


def _distributions(space: Mapping[str, Dimension]) -> dict[str, optuna.distributions.BaseDistribution]:
    found: dict[str, optuna.distributions.BaseDistribution] = {}
    for name, dimension in space.items():
        if dimension.choice is not None:
            found[name] = optuna.distributions.CategoricalDistribution(dimension.choice)
        elif dimension.integers is not None:
            low, high = dimension.integers
            found[name] = optuna.distributions.IntDistribution(low, high, log=dimension.log)
        elif dimension.floats is not None:
            smallest, largest = dimension.floats
            found[name] = optuna.distributions.FloatDistribution(smallest, largest, log=dimension.log)
    return found
