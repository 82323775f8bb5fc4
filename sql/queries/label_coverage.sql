-- The share of the answers of each day whose label has come: days below 0.9 are not judged by alert rules yet.
SELECT day, model, tag, mode, value AS coverage, row_count AS answers
FROM flights.model_metrics
WHERE metric = 'label_coverage' AND part = 'all' AND time_window = '1d'
ORDER BY model, mode, day
