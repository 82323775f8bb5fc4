"""Checks the code of a project's functions."""
