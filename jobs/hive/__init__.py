"""Tables in Hive: schemas, partitions that change whole, scans by day, labels."""
