"""Where and how a job runs: Spark's session, cluster and executors, its code, its end and its errors."""
