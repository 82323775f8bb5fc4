-- Accuracy of live models: predictions joined to the labels that had come when the monitor last measured.
CREATE TABLE IF NOT EXISTS IDENTIFIER(:project || '.model_metrics') (
    model STRING COMMENT 'project/model',
    model_uuid STRING COMMENT 'the version that answered',
    tag STRING COMMENT 'the tag it answered under; empty: it was asked for by its uuid',
    mode STRING COMMENT 'batch or online',
    part STRING COMMENT 'all, level:<name> (rows that this level of the partition tree answered) or a part',
    time_window STRING COMMENT 'days that end with day: 1d, 7d',
    metric STRING COMMENT 'those of the task, such as rmse; label_coverage; without labels rows and share_of_cluster_0, …',
    value DOUBLE,
    row_count BIGINT COMMENT 'labelled rows; for label_coverage, and where there are no labels, all rows'
)
PARTITIONED BY (day STRING COMMENT 'last day of the window, UTC')
STORED AS PARQUET
