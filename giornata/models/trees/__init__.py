"""Boosted trees, random forests and single trees."""
