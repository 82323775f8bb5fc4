"""The search for parameters: Optuna's samplers and pruners, objectives, and how a search is told."""
