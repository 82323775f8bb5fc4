-- Rows that an expectation with the policy quarantine kept out of their feature group.
CREATE TABLE IF NOT EXISTS IDENTIFIER(:project || '.quarantined_rows') (
    event_time TIMESTAMP,
    content STRING COMMENT 'the whole row, as JSON',
    expectations STRING COMMENT 'names of the expectations that it does not meet'
)
PARTITIONED BY (day STRING COMMENT 'UTC date of event_time', group_name STRING)
STORED AS PARQUET
