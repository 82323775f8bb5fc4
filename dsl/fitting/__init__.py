"""What fitted functions keep of the training rows: mergeable aggregates and quantiles."""
