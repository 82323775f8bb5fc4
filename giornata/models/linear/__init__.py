"""Linear regression, and the columns and sums that it shares with logistic regression."""
