"""Counts requests and attempts by how they ended; called by recorder.py for every END."""

from config.metrics import Metrics, observe_in
from ledger.events import AttemptEnd, Outcome

_OK = Outcome.ok


class RequestTally:
    """The metrics of ENDs, with their series looked up once."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._requests = metrics.counter("apex_requests_total")
        self._attempts = metrics.counter("apex_attempts_total")
        self._seconds = metrics.histogram("apex_request_seconds")
        self._first_byte_seconds = metrics.histogram("apex_first_byte_seconds")

    def count_attempt(self, end: AttemptEnd) -> None:
        """Count a call made to an upstream."""
        outcome = end.outcome
        self._attempts[end.upstream, "ok" if outcome is _OK else str(outcome)] += 1

    def count_request(self, endpoint: str, end: AttemptEnd) -> None:
        """Count a request by its final END."""
        outcome = end.outcome
        self._requests[endpoint, "ok" if outcome is _OK else str(outcome), end.cache] += 1
        if end.is_streaming:
            self._metrics.count("apex_stream_bytes_total", (), end.response_bytes)
        observe_in(self._seconds[endpoint,], end.total_us / 1e6)
        if end.first_byte_us:
            observe_in(self._first_byte_seconds[endpoint,], end.first_byte_us / 1e6)
