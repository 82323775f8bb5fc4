-- The latest batch predictions of trip_minutes beside what came true (null: not arrived yet), newest first.
SELECT p.flight_id, p.event_time AS pushed_back_at, d.dest_city, p.prediction, a.gate_minutes AS actual,
       p.prediction - a.gate_minutes AS error, p.part, p.tag, p.model_uuid
FROM flights.trip_minutes_predictions p
LEFT JOIN flights.departures d ON d.flight_id = p.flight_id
LEFT JOIN flights.arrivals a ON a.flight_id = p.flight_id
WHERE p.mode = 'batch' AND p.day = (SELECT max(day) FROM flights.trip_minutes_predictions WHERE mode = 'batch')
ORDER BY p.event_time DESC, p.flight_id
LIMIT 50
