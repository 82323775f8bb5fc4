-- Accuracy of every live model by day, as the monitor measured it: one row a day, version and metric.
SELECT day, model, tag, mode, metric, value, row_count, model_uuid
FROM flights.model_metrics
WHERE part = 'all' AND time_window = '1d' AND tag <> ''
ORDER BY model, metric, mode, day, model_uuid
