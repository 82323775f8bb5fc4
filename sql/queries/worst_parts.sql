-- The parts of trip_minutes with the greatest errors on the last day measured, and their share of its answers.
WITH latest AS (
    SELECT * FROM flights.trip_minutes_outcomes
    WHERE mode = 'batch' AND day = (SELECT max(day) FROM flights.trip_minutes_outcomes WHERE mode = 'batch')
)
SELECT part, count(*) AS answers, count(*) / (SELECT count(*) FROM latest) AS share,
       sqrt(avg(pow(prediction - label, 2))) AS rmse, avg(prediction - label) AS mean_error
FROM latest
GROUP BY part
HAVING count(*) >= 10
ORDER BY rmse DESC
LIMIT 20
