-- How each feature was on the newest day of its group that has rows: how many, how many without a value, and its range.
WITH newest AS (
    SELECT group_name AS newest_group, max(day) AS newest_day
    FROM flights.feature_statistics
    WHERE row_count > 0
    GROUP BY group_name
)
SELECT s.group_name, s.feature, s.type, s.day, s.row_count, round(100 * s.null_share, 1) AS null_percent,
       s.minimum, s.q05, s.q50 AS median, s.mean, s.q95, s.maximum, s.true_share, s.distinct_count
FROM flights.feature_statistics s
JOIN newest ON s.group_name = newest_group AND s.day = newest_day
ORDER BY s.group_name, s.feature
