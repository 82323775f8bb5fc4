"""Records: model versions, feature statistics, metric points, alerts, validation results."""
