"""Giornata's library: documents, scorer, stores, monitoring, serving and console. No Airflow, no Spark."""
