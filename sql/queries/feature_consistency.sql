-- Features served online beside their recomputed values, by day: the least consistent first, and what is wrong.
SELECT day, model_name, feature, row_count, equal_count / row_count AS consistency, different_count,
       missing_online_count, missing_offline_count, published_later_count, no_row_count, too_old_count,
       before_history_count, not_read_count, mean_difference, max_difference,
       tag, model_uuid
FROM flights.feature_consistency
ORDER BY consistency, day DESC, model_name, feature, tag, model_uuid
LIMIT 100
