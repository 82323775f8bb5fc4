-- How accurate each level of the partition tree of trip_minutes was, over all days with outcomes.
SELECT level, mode, count(*) AS answers, count(DISTINCT part) AS parts,
       sqrt(avg(pow(prediction - label, 2))) AS rmse, avg(abs(prediction - label)) AS mae
FROM flights.trip_minutes_outcomes
GROUP BY level, mode
ORDER BY mode, rmse
