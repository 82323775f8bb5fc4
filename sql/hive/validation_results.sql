-- What Great Expectations said of the rows of a feature group before they were published; one row an expectation.
-- A run over a range of days replaces what the last run over the same range said.
CREATE TABLE IF NOT EXISTS IDENTIFIER(:project || '.validation_results') (
    expectation STRING COMMENT 'name in Great Expectations, such as expect_column_values_to_be_between',
    about STRING COMMENT 'columns that it is about; empty: the whole table',
    arguments STRING COMMENT 'its arguments, as JSON',
    policy STRING COMMENT 'what was to happen if it was not met: fail, quarantine or warn',
    verdict STRING COMMENT 'met, warned, quarantined or failed; failed: nothing of the range was published',
    row_count BIGINT COMMENT 'rows that were looked at; null where the whole table was judged',
    unexpected_count BIGINT COMMENT 'rows that do not meet it; null where the whole table was judged',
    observed STRING COMMENT 'a few of the unexpected values, or what was found of the whole table'
)
PARTITIONED BY (
    day STRING COMMENT 'first day of the range',
    until_day STRING COMMENT 'day after the last day of the range',
    group_name STRING
)
STORED AS PARQUET
