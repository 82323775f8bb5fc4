"""Spark applications, one file per job, and their shared modules. The only folder that imports pyspark."""
