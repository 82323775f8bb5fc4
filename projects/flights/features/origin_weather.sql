SELECT origin, observed_at AS event_time, temp, dewp, humid, wind_dir, wind_speed, precip, pressure, visib
FROM weather
WHERE observed_at >= :from AND observed_at < :to
