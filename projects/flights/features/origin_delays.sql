-- A departure counts from its push-back on: in every snapshot s with s - 3 hours <= pushed_back_at < s.
-- Departures lie in the partition of their scheduled day; push-back is at most two days away from it.
WITH pushed_back AS (
  SELECT
    origin,
    pushed_back_at,
    dep_delay,
    explode(sequence(
      timestamp_seconds((unix_seconds(pushed_back_at) DIV 900 + 1) * 900),
      pushed_back_at + INTERVAL 3 HOURS,
      INTERVAL 15 MINUTES
    )) AS event_time
  FROM departures
  WHERE day BETWEEN CAST(date_sub(to_date(:from), 3) AS STRING) AND CAST(date_add(to_date(:to), 1) AS STRING)
    AND pushed_back_at >= :from - INTERVAL 3 HOURS
    AND pushed_back_at < :to
)
SELECT
  origin,
  event_time,
  avg(dep_delay) FILTER (WHERE pushed_back_at >= event_time - INTERVAL 1 HOUR) AS mean_dep_delay_1h,
  count(*) FILTER (WHERE pushed_back_at >= event_time - INTERVAL 1 HOUR) AS departures_1h,
  avg(dep_delay) AS mean_dep_delay_3h,
  count(*) AS departures_3h
FROM pushed_back
WHERE event_time >= :from AND event_time < :to
GROUP BY origin, event_time
