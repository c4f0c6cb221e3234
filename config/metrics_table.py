"""The declared metric families: name, kind, help and label names of everything a process counts.

Read by config.metrics and config.metrics_text; a family that is not here cannot be counted.
"""

from dataclasses import dataclass
from enum import StrEnum


class MetricKind(StrEnum):
    """The Prometheus types in use; counters and histograms outlive their process, gauges do not."""

    counter = "counter"
    gauge = "gauge"
    histogram = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """One family; `is_minimum` is a gauge of which the smallest over all processes is the truth."""

    name: str
    kind: MetricKind
    help: str
    label_names: tuple[str, ...] = ()
    is_minimum: bool = False


# Upper bounds in seconds, for both histograms: from a cache hit to the longest stream.
BUCKETS_S: tuple[float, ...] = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0),
)


def _counter(name: str, text: str, *label_names: str) -> Family:
    return Family(name, MetricKind.counter, text, label_names)


def _gauge(name: str, text: str, *label_names: str, is_minimum: bool = False) -> Family:
    return Family(name, MetricKind.gauge, text, label_names, is_minimum)


def _histogram(name: str, text: str, *label_names: str) -> Family:
    return Family(name, MetricKind.histogram, text, label_names)


METRICS: tuple[Family, ...] = (
    _counter("apex_requests_total", "Requests answered.", "endpoint", "outcome", "cache"),
    _histogram("apex_request_seconds", "Seconds from request to the answer's end.", "endpoint"),
    _histogram("apex_first_byte_seconds", "Seconds to the answer's first byte.", "endpoint"),
    _counter("apex_attempts_total", "Calls made to upstreams.", "upstream", "outcome"),
    _counter("apex_retries_total", "Attempts after the first, by why.", "reason"),
    _gauge("apex_upstream_breaker_open", "Processes that hold its circuit open.", "upstream"),
    _counter("apex_auth_failures_total", "Requests without a valid key."),
    _counter("apex_refused_total", "Requests refused before any upstream, by error code.", "code"),
    _counter(
        "apex_limit_refusals_total", "Requests refused by a limit or budget.", "level", "kind"
    ),
    _counter("apex_budget_exceeded_total", "Requests past a soft budget.", "level"),
    _counter("apex_limits_by_share_total", "Requests counted without the KV server, by share."),
    _gauge("apex_kv_circuit_open", "Processes that do without the KV server."),
    _counter("apex_cache_shared_total", "Questions to the shared cache, by answer.", "answer"),
    _gauge("apex_open_requests", "Requests being answered now."),
    _gauge("apex_open_streams", "Streams being answered now."),
    _counter("apex_stream_bytes_total", "Bytes of streams sent to clients."),
    _gauge("apex_cache_bytes", "Bytes held in the exact cache."),
    _gauge("apex_cache_entries", "Answers held in the exact cache."),
    _counter("apex_cache_hits_total", "Answers from the cache, by kind of cache.", "kind"),
    _counter("apex_coalesced_total", "Requests answered by another's identical request."),
    _counter("apex_log_append_errors_total", "Failed appends to the segment log."),
    _counter("apex_log_bytes_total", "Bytes appended to the segment log."),
    _counter("apex_shipped_events_total", "Events shipped to the columnar store."),
    _counter("apex_ship_errors_total", "Failed shipments to the columnar store."),
    _gauge("apex_ship_lag_seconds", "Age of the oldest event not shipped yet."),
    _counter("apex_unpriced_usage_keys_total", "Usage keys of providers that have no price."),
    _counter(
        "apex_unmetered_dropped_total", "Attempts no estimate can be made of, by why.", "reason"
    ),
    _counter("apex_estimates_total", "Attempts whose unknown usage was estimated."),
    _gauge("apex_snapshot_age_seconds", "Seconds since the control plane vouched for a snapshot."),
    _gauge("apex_snapshot_number", "Oldest snapshot that a process works by.", is_minimum=True),
)

FAMILIES: dict[str, Family] = {family.name: family for family in METRICS}
