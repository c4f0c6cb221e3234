"""What an answer used, put on its END and read off it again.

Called by recorder.py and by whoever reads answers; malformed or missing usage stays unknown.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from config.metrics import Metrics
from ledger.end_rating import buckets_in
from ledger.events import PROVIDER_USAGE_LIMIT_BYTES, AttemptEnd
from ledger.plain_usage import plain_buckets
from ledger.rating import TokenBuckets
from ledger.usage_dialects import buckets_from_usage, tier_from_usage
from ledger.usage_units import units_from_usage


def put_usage(end: AttemptEnd, usage: Mapping[str, Any] | None, metrics: Metrics) -> None:
    """Note the provider's usage on an END; malformed or missing usage stays unknown, never zero."""
    if usage is None:
        return
    try:
        raw = orjson.dumps(usage)
    except orjson.JSONEncodeError:  # nested beyond what can be written: nobody's usage
        return
    if len(raw) <= PROVIDER_USAGE_LIMIT_BYTES:
        end.provider_usage = raw.decode()
    else:
        end.provider_usage = raw[:PROVIDER_USAGE_LIMIT_BYTES].decode(errors="replace")
    plain = plain_buckets(usage)
    if plain is not None:
        put_buckets(end, plain)
        end.usage_source = "provider"
    else:
        _put_any_usage(end, usage, metrics)


def _put_any_usage(end: AttemptEnd, usage: Mapping[str, Any], metrics: Metrics) -> None:
    try:
        buckets, unpriced = buckets_from_usage(usage)
        units = units_from_usage(usage)
    except ValueError:
        return
    put_buckets(end, buckets)
    end.units = {**end.units, **units}
    end.served_tier = end.served_tier or tier_from_usage(usage)
    end.usage_source = "provider"
    if unpriced:
        end.unpriced_keys = unpriced
        metrics.count("apex_unpriced_usage_keys_total", (), len(unpriced))


def put_units(end: AttemptEnd, units: Mapping[str, int]) -> None:
    """Note what was used where it is counted in other things than tokens."""
    if units:
        end.units = dict(units)
        end.usage_source = "provider"


def put_buckets(end: AttemptEnd, buckets: TokenBuckets) -> None:
    """Copy the token buckets onto an END."""
    (
        end.input_tokens,
        end.cache_read_tokens,
        end.cache_write_5m_tokens,
        end.cache_write_1h_tokens,
        end.audio_input_tokens,
        end.image_input_tokens,
        end.output_tokens,
        end.reasoning_tokens,
        end.audio_output_tokens,
        end.image_output_tokens,
    ) = buckets


def buckets_of(end: AttemptEnd) -> TokenBuckets | None:
    """Return the buckets an END carries; None when its usage is unknown."""
    if end.usage_source not in {"provider", "cache"}:
        return None
    return buckets_in(vars(end))
