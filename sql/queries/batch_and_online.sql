-- The same flight asked online and scored in batch by the same version: the answers should be equal.
SELECT o.flight_id, o.event_time AS asked_online_at, b.event_time AS scored_at, o.prediction AS online,
       b.prediction AS batch, abs(o.prediction - b.prediction) AS difference, o.part AS online_part, b.part AS batch_part,
       o.inputs = b.inputs AS same_inputs, o.model_uuid
FROM flights.trip_minutes_predictions o
JOIN flights.trip_minutes_predictions b
  ON b.flight_id = o.flight_id AND b.model_uuid = o.model_uuid
WHERE o.mode = 'online' AND b.mode = 'batch'
ORDER BY difference DESC, o.flight_id
LIMIT 50
