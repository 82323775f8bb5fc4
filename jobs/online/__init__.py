"""Feature groups in Cassandra: their tables, and what is written to them."""
