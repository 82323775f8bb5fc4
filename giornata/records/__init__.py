"""What is recorded: model versions, statistics, metric points, alerts, validation results."""
