"""Hyperparameter search: Optuna's samplers and pruners, objectives, reports."""
