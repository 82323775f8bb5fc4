-- What Great Expectations said of the features, the expectations that were not met first.
SELECT day, until_day, group_name, expectation, about, policy, verdict, unexpected_count, row_count, observed
FROM flights.validation_results
ORDER BY CASE verdict WHEN 'met' THEN 1 ELSE 0 END, unexpected_count DESC, group_name, day, expectation
LIMIT 100
