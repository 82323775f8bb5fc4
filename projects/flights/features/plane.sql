SELECT tailnum, registered_at AS event_time, built_year, seats, engines
FROM planes
WHERE registered_at >= :from AND registered_at < :to
