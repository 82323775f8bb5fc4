"""The runtime of jobs: Spark session, cluster, executors, code, cancellation and errors."""
