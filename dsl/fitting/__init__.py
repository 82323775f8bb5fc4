"""The state of fitted functions: aggregates and quantiles of the training rows that can be merged."""
