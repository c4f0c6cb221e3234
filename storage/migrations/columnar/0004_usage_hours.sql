-- Usage summed by the hour, so that a question over months reads hours instead of events. The
-- figures are those of usage_events: ledger.rolling sums an hour anew whenever events came in.
-- How often something was inserted that belongs to an hour: whoever inserts it, this counts.
CREATE TABLE IF NOT EXISTS usage_hour_marks (hour Int64, inserts UInt64)
ENGINE = SummingMergeTree ORDER BY hour;
CREATE MATERIALIZED VIEW IF NOT EXISTS usage_events_mark TO usage_hour_marks AS
SELECT intDiv(at_us, 3600000000) AS hour, toUInt64(1) AS inserts FROM usage_events GROUP BY hour;
CREATE MATERIALIZED VIEW IF NOT EXISTS usage_estimates_mark TO usage_hour_marks AS
SELECT intDiv(at_us, 3600000000) AS hour, toUInt64(1) AS inserts FROM usage_estimates GROUP BY hour;
INSERT INTO usage_hour_marks
SELECT intDiv(at_us, 3600000000) AS hour, toUInt64(1) AS inserts FROM usage_events GROUP BY hour;
-- A bucket of so many `hours` (1 or 24) was summed as `version` when so many inserts had been
-- counted and it held so many events.
CREATE TABLE IF NOT EXISTS usage_rolled
(hours UInt8, bucket Int64, version UInt64, inserts UInt64, events UInt64)
ENGINE = ReplacingMergeTree(version) ORDER BY (hours, bucket);
-- One row for each bucket, tenant, dimension and value; sums of amounts in two halves each.
CREATE TABLE IF NOT EXISTS usage_sums
(
    hours UInt8,
    bucket Int64,
    version UInt64,
    dimension LowCardinality(String),
    tenant LowCardinality(String),
    value String,
    requests UInt64,
    ended UInt64,
    errors UInt64,
    cache_hits UInt64,
    coalesced UInt64,
    unpriced_lone UInt64,
    sum_input_tokens Int64,
    sum_cache_read_tokens Int64,
    sum_cache_write_5m_tokens Int64,
    sum_cache_write_1h_tokens Int64,
    sum_audio_input_tokens Int64,
    sum_image_input_tokens Int64,
    sum_output_tokens Int64,
    sum_reasoning_tokens Int64,
    sum_audio_output_tokens Int64,
    sum_image_output_tokens Int64,
    cache_served_tokens Int64,
    cost_high Int64,
    cost_low Int64,
    gross_baseline_high Int64,
    gross_baseline_low Int64,
    gross_saving_high Int64,
    gross_saving_low Int64,
    priced_cost UInt64,
    priced_gross_baseline UInt64,
    priced_gross_saving UInt64,
    unpriced_cost UInt64,
    unpriced_gross_baseline UInt64,
    unpriced_gross_saving UInt64,
    estimated_attempts UInt64,
    priced_estimates UInt64,
    estimated_high Int64,
    estimated_low Int64
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(fromUnixTimestamp64Micro(bucket * hours * 3600000000, 'UTC'))
ORDER BY (hours, dimension, tenant, bucket, value);
-- What cannot be added up, by the hour: ENDs without a price that are not the only one of their
-- request, and STARTs that had no END when their hour was summed. Both are few.
CREATE TABLE IF NOT EXISTS usage_apart
(
    hour Int64,
    version UInt64,
    kind LowCardinality(String),
    event_id UUID,
    request_id String,
    at_us Int64,
    tenant LowCardinality(String),
    writer LowCardinality(String),
    requested_model LowCardinality(String),
    served_model LowCardinality(String),
    key_id LowCardinality(String),
    tags Map(String, String),
    upstream LowCardinality(String),
    cache LowCardinality(String),
    arm LowCardinality(String)
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(fromUnixTimestamp64Micro(at_us, 'UTC'))
ORDER BY (kind, tenant, at_us, event_id);
-- The STARTs of usage_apart whose END came in later.
CREATE TABLE IF NOT EXISTS usage_late_ends (start_id UUID) ENGINE = ReplacingMergeTree ORDER BY start_id;
ALTER TABLE usage_events ADD INDEX IF NOT EXISTS by_start start_id TYPE bloom_filter GRANULARITY 1;
ALTER TABLE usage_events MATERIALIZE INDEX by_start;
