"""The prediction server: answers for the deployed models, follows deployments, logs what it predicted.

It reads bundles from a folder and features from Cassandra, and needs neither Airflow, Spark, Hive nor the
project's documents.
"""
