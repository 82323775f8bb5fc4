-- An arrival counts from its landing at the gate on: in every snapshot s with s - 6 hours <= arrived_at < s.
WITH arrived AS (
  SELECT
    carrier,
    arr_delay,
    explode(sequence(
      timestamp_seconds((unix_seconds(arrived_at) DIV 900 + 1) * 900),
      arrived_at + INTERVAL 6 HOURS,
      INTERVAL 15 MINUTES
    )) AS event_time
  FROM arrivals
  WHERE day BETWEEN CAST(date_sub(to_date(:from), 1) AS STRING) AND CAST(to_date(:to) AS STRING)
    AND arrived_at >= :from - INTERVAL 6 HOURS
    AND arrived_at < :to
)
SELECT carrier, event_time, avg(arr_delay) AS mean_arr_delay_6h, count(*) AS arrivals_6h
FROM arrived
WHERE event_time >= :from AND event_time < :to
GROUP BY carrier, event_time
