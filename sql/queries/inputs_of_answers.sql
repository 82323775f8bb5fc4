-- What trip_minutes knew when it answered: inputs of the latest answers, taken out of their JSON.
SELECT flight_id, mode, prediction, get_json_object(inputs, '$.distance') AS distance,
       get_json_object(inputs, '$.dep_delay') AS dep_delay,
       get_json_object(inputs, '$.origin_weather__wind_speed') AS wind_speed, inputs
FROM flights.trip_minutes_predictions
WHERE day = (SELECT max(day) FROM flights.trip_minutes_predictions)
ORDER BY event_time DESC, flight_id, mode
LIMIT 20
