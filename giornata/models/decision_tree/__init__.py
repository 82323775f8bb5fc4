"""Single decision trees."""
