"""Linear regression, and the parts that it shares with logistic regression."""
