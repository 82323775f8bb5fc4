-- Which version of which model answered on which day, how often and under which tag.
SELECT 'flights/trip_minutes' AS model, day, mode, tag, model_uuid, count(*) AS answers
FROM flights.trip_minutes_predictions
GROUP BY day, mode, tag, model_uuid
UNION ALL
SELECT 'flights/late' AS model, day, mode, tag, model_uuid, count(*) AS answers
FROM flights.late_predictions
GROUP BY day, mode, tag, model_uuid
ORDER BY model, day, mode, model_uuid
