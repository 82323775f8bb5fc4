"""Monitoring of live models: predictions in Hive, their accuracy, and the consistency of served features."""
