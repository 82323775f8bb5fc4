"""The prediction server: predicts with the deployed models, follows deployments, logs its predictions.

It reads bundles from a folder and features from Cassandra, and needs neither Airflow, Spark, Hive nor the project's
documents.
"""
