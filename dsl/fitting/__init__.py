"""Fits functions such as `normalize`: aggregates and quantiles of training rows that can be merged."""
