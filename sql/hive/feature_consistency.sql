-- Features as served online beside what the offline join computes for the same key and moment: one row a feature.
-- A run over days replaces what was found for them.
CREATE TABLE IF NOT EXISTS IDENTIFIER(:project || '.feature_consistency') (
    model_uuid STRING COMMENT 'the version that answered',
    tag STRING COMMENT 'the tag it answered under; empty: it was asked for by its uuid',
    feature STRING COMMENT 'use.feature: the group (group__column by a stated key), a dot, the feature',
    row_count BIGINT COMMENT 'answers that were logged, each with one value of the feature',
    equal_count BIGINT COMMENT 'served as recomputed, bit for bit; event_age within a millisecond',
    null_count BIGINT COMMENT 'of the equal ones those that are null on both sides',
    different_count BIGINT COMMENT 'both have a value, and not the same',
    missing_online_count BIGINT COMMENT 'null was served, and offline there is a value',
    missing_offline_count BIGINT COMMENT 'a value was served, and offline there is none',
    published_later_count BIGINT COMMENT 'of those different or missing online: their day in Hive was (re)published after the answer, as late events do',
    no_row_count BIGINT COMMENT 'null was served because the group had no row of the entity before the moment asked about',
    too_old_count BIGINT COMMENT 'null was served because the newest row was older than the ttl of the group',
    before_history_count BIGINT COMMENT 'null was served because the moment sees days that are published and not online',
    not_read_count BIGINT COMMENT 'null was served because the group could not be read',
    mean_difference DOUBLE COMMENT 'absolute difference of numbers that are different',
    max_difference DOUBLE,
    p50_difference DOUBLE COMMENT 'the difference that half of the different numbers do not exceed',
    p90_difference DOUBLE,
    p99_difference DOUBLE
)
PARTITIONED BY (day STRING COMMENT 'of the moment that was asked about, UTC', model_name STRING)
STORED AS PARQUET
