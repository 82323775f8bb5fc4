"""Evaluation: functions from arrays to plain data that JSON can carry."""
