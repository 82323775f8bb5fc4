-- One row per arrival; a tail number that arrives twice in one minute is a mistake of the source, the later flight counts.
SELECT tailnum, arrived_at AS event_time, max(arr_delay) AS arr_delay
FROM arrivals
WHERE tailnum IS NOT NULL AND arrived_at >= :from AND arrived_at < :to
GROUP BY tailnum, arrived_at
