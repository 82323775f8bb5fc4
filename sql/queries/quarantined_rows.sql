-- Rows that were kept out of the feature store, whole, with the expectations that they do not meet.
SELECT day, group_name, event_time, expectations, content
FROM flights.quarantined_rows
ORDER BY event_time, group_name
LIMIT 100
