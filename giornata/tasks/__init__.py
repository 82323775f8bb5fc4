"""What a model is asked for: regression, binary, multiclass, quantile, forecasting, clustering."""
