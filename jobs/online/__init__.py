"""Feature groups in Cassandra: their tables, what is written there and when."""
