-- Missing values of the weather features by day and airport: what a model sees as null when nothing fresher is known.
SELECT day, origin, count(*) AS row_count,
       avg(CASE WHEN temp IS NULL THEN 1.0 ELSE 0.0 END) AS temp_missing,
       avg(CASE WHEN wind_speed IS NULL THEN 1.0 ELSE 0.0 END) AS wind_speed_missing,
       avg(CASE WHEN precip IS NULL THEN 1.0 ELSE 0.0 END) AS precip_missing,
       avg(CASE WHEN pressure IS NULL THEN 1.0 ELSE 0.0 END) AS pressure_missing
FROM flights.origin_weather
GROUP BY day, origin
ORDER BY day DESC, origin
LIMIT 90
