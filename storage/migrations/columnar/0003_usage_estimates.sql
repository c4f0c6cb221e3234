-- What tiktoken counts of attempts whose provider reported no usage: one row per END, by its
-- event_id. Nothing here is a cost or a saving. The same record counted twice is the same row
-- under the same key, merged away; until then every query says FINAL. NULL means unknown.
CREATE TABLE IF NOT EXISTS usage_estimates
(
    event_id UUID,
    tenant LowCardinality(String),
    request_id String,
    attempt Int64,
    at_us Int64,
    model LowCardinality(String),
    encoding LowCardinality(String),
    is_exact_encoding Bool,
    is_partial Bool,
    input_tokens Nullable(Int64),
    output_tokens Nullable(Int64),
    estimated_picousd Nullable(Int64),
    price_state LowCardinality(String),
    INDEX by_request request_id TYPE bloom_filter GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(fromUnixTimestamp64Micro(at_us, 'UTC'))
ORDER BY (tenant, at_us, event_id)
SETTINGS non_replicated_deduplication_window = 1000;
