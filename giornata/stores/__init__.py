"""Where Giornata keeps what it knows: Hive through SQL, Cassandra through CQL, one module per kind of record."""
