-- What was measured of the features of each day when it was published: one row a day, group and feature.
CREATE TABLE IF NOT EXISTS IDENTIFIER(:project || '.feature_statistics') (
    feature STRING,
    type STRING COMMENT 'int, float, bool, str or timestamp',
    row_count BIGINT COMMENT 'rows of the group on the day',
    null_share DOUBLE COMMENT 'share of the rows without a value (null, NaN or infinite); null where there is no row',
    minimum DOUBLE COMMENT 'of numbers, as all up to q95',
    mean DOUBLE,
    maximum DOUBLE,
    q05 DOUBLE COMMENT 'quantile 0.05: of n sorted values the one at place ceil(0.05 n)',
    q25 DOUBLE,
    q50 DOUBLE COMMENT 'median',
    q75 DOUBLE,
    q95 DOUBLE,
    true_share DOUBLE COMMENT 'of bool: share of true among the values',
    distinct_count BIGINT COMMENT 'of text: how many different values'
)
PARTITIONED BY (day STRING COMMENT 'UTC date of the rows', group_name STRING)
STORED AS PARQUET
