"""Giornata's stores: Hive through SQL, Cassandra through CQL, one module per kind of record."""
