"""Columns: a program of Polars expressions for a set of expressions."""
