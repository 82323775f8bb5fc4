"""Shared by decision trees, random forests and boosted trees: stored trees, and the offset of labels."""
