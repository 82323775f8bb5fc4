"""Spark applications, one file per job, and what they share. The only folder that imports pyspark."""
