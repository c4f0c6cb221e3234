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
-- What each END adds to the sums it counts in; ledger.bucket_sql names them in this order.
ALTER TABLE usage_events ADD COLUMN IF NOT EXISTS figures Array(Int64) MATERIALIZED if(kind = 'end', [
    toInt64(is_final),
    toInt64(1),
    toInt64(is_final AND outcome NOT IN ('ok', 'client_closed')),
    toInt64(is_final AND cache = 'hit'),
    toInt64(is_final AND cache = 'coalesced'),
    toInt64(isNull(cost_picousd) AND (is_final AND attempt = 1)),
    toInt64(isNull(cost_picousd) AND NOT (is_final AND attempt = 1)),
    toInt64(usage_source = 'unknown'),
    toInt64(if(usage_source = 'provider', input_tokens, 0)),
    toInt64(if(usage_source = 'provider', cache_read_tokens, 0)),
    toInt64(if(usage_source = 'provider', cache_write_5m_tokens, 0)),
    toInt64(if(usage_source = 'provider', cache_write_1h_tokens, 0)),
    toInt64(if(usage_source = 'provider', audio_input_tokens, 0)),
    toInt64(if(usage_source = 'provider', image_input_tokens, 0)),
    toInt64(if(usage_source = 'provider', output_tokens, 0)),
    toInt64(if(usage_source = 'provider', reasoning_tokens, 0)),
    toInt64(if(usage_source = 'provider', audio_output_tokens, 0)),
    toInt64(if(usage_source = 'provider', image_output_tokens, 0)),
    toInt64(if(usage_source = 'cache', input_tokens + cache_read_tokens + cache_write_5m_tokens + cache_write_1h_tokens + audio_input_tokens + image_input_tokens + output_tokens + reasoning_tokens + audio_output_tokens + image_output_tokens, 0)),
    toInt64(ifNull(intDiv(cost_picousd, 1000000000), 0)),
    toInt64(ifNull(modulo(cost_picousd, 1000000000), 0)),
    toInt64(ifNull(intDiv(gross_baseline_picousd, 1000000000), 0)),
    toInt64(ifNull(modulo(gross_baseline_picousd, 1000000000), 0)),
    toInt64(ifNull(intDiv(if(price_state = 'agreed' AND baseline_price_state = 'agreed', gross_baseline_picousd - cost_picousd, least(gross_baseline_picousd - cost_picousd, 0)), 1000000000), 0)),
    toInt64(ifNull(modulo(if(price_state = 'agreed' AND baseline_price_state = 'agreed', gross_baseline_picousd - cost_picousd, least(gross_baseline_picousd - cost_picousd, 0)), 1000000000), 0)),
    toInt64(isNotNull(cost_picousd) AND cache NOT IN ('hit', 'coalesced') AND usage_source != 'none'),
    toInt64(isNotNull(gross_baseline_picousd) AND is_final AND usage_source != 'none'),
    toInt64(isNotNull(gross_baseline_picousd - cost_picousd) AND usage_source != 'none'),
    toInt64(isNull(cost_picousd)),
    toInt64(isNull(gross_baseline_picousd)),
    toInt64(isNull(gross_baseline_picousd - cost_picousd))
], []);
-- A bucket of so many `hours` (1 or 24) was summed as `version` when so many inserts had been
-- counted and it held so many events.
CREATE TABLE IF NOT EXISTS usage_rolled
(hours UInt8, bucket Int64, version UInt64, inserts UInt64, events UInt64)
ENGINE = ReplacingMergeTree(version) ORDER BY (hours, bucket);
-- One row for each bucket, tenant, dimension and value; `figures` are those of its ENDs, added up.
CREATE TABLE IF NOT EXISTS usage_sums
(
    hours UInt8,
    bucket Int64,
    version UInt64,
    dimension LowCardinality(String),
    tenant LowCardinality(String),
    value String,
    figures Array(Int64)
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
-- In the background, for what was stored before; until then it is worked out when it is read.
ALTER TABLE usage_events MATERIALIZE COLUMN figures;
