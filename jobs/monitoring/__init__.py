"""Live models: predictions in Hive, their accuracy, and the consistency of online answers."""
