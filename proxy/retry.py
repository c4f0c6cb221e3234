"""What a failed attempt means and what to do next (pure). Called by upstream.py.

The caller's own mistakes are never rescued; what another try or another upstream may cure is,
before the first byte and within one deadline. Rules and numbers are explained in
docs/life-of-a-request.md.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Literal

from ledger.events import Outcome
from proxy.upstream_client import TimeoutFault, UnreachableFault, UpstreamFault

MOST_ATTEMPTS = 5
MOST_TRIES_HERE = 3
FIRST_BACKOFF_S = 0.2
LEAST_USEFUL_S = 0.25  # a call with less time left could only be paid for, not answered
LONGEST_WAIT_S = 10.0
MOST_RETRY_AFTER_S = 3600.0
CREDENTIAL_STATUSES = frozenset({401, 403})
RETRYABLE_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
TOO_MANY = 429
NOT_FOUND = 404
BAD_REQUEST = 400
Cure = Literal["none", "elsewhere", "anywhere"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt brought nothing; `cure` says where another try could help."""

    outcome: Outcome
    status: int
    code: str
    message: str
    cure: Cure
    retry_after_s: float | None = None
    body: bytes = b""
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    is_callers_haste: bool = False
    may_have_run: bool = True  # whether the provider may charge for it

    @property
    def is_upstream_sick(self) -> bool:
        """Whether it counts against the upstream's circuit breaker."""
        return self.cure != "none" and self.status not in {TOO_MANY, NOT_FOUND, BAD_REQUEST}


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a request stands after a failure."""

    attempts: int
    tries_here: int
    has_other_target: bool
    remaining_s: float
    has_retry_budget: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next, after `wait_s` seconds."""

    action: Literal["retry", "move_on", "give_up"]
    wait_s: float = 0.0


def next_step(failure: Failure, standing: Standing, jitter: float) -> Step:
    """Choose the next step; `jitter` is a unit draw that spreads retries."""
    is_over = standing.remaining_s < LEAST_USEFUL_S or standing.attempts >= MOST_ATTEMPTS
    if failure.cure == "none" or is_over:
        return Step("give_up")
    is_quick_retry_wise = (
        failure.cure == "anywhere"
        and failure.retry_after_s is None
        and standing.tries_here == 1
        and standing.has_retry_budget
    )
    if standing.has_other_target and not is_quick_retry_wise:
        return Step("move_on")
    is_spent = standing.tries_here >= MOST_TRIES_HERE or not standing.has_retry_budget
    if failure.cure == "elsewhere" or is_spent:
        return Step("give_up")
    wait_s = FIRST_BACKOFF_S * 2 ** (standing.tries_here - 1) * (0.5 + jitter)
    if failure.retry_after_s is not None:
        wait_s = max(wait_s, failure.retry_after_s)
    if wait_s > LONGEST_WAIT_S or wait_s >= standing.remaining_s:
        return Step("give_up")
    return Step("retry", wait_s)


def failure_of_status(status: int, headers: Mapping[str, str], body: bytes, now: float) -> Failure:
    """Read a non-2xx answer; `now` (unix seconds) is for Retry-After given as a date."""
    if status in CREDENTIAL_STATUSES:
        return Failure(
            Outcome.upstream_error,
            status,
            "upstream_credentials_rejected",
            "The upstream refused the gateway's own credentials.",
            "elsewhere",
            may_have_run=False,
        )
    if status < 400:
        # Nothing ran there, and asking the same address again would lead away again.
        return Failure(
            Outcome.upstream_error,
            0,
            "upstream_unusable_answer",
            f"The upstream answered with a redirect ({status}).",
            "elsewhere",
            may_have_run=False,
        )
    is_retryable = status in RETRYABLE_STATUSES or status >= 500
    cure: Cure = "anywhere" if is_retryable else "none"
    return Failure(
        Outcome.upstream_error if is_retryable else Outcome.upstream_rejected,
        status,
        "rate_limit_exceeded" if status == TOO_MANY else "upstream_error",
        f"The upstream answered {status}.",
        "elsewhere" if status == NOT_FOUND else cure,
        retry_after_s=read_retry_after(headers, now),
        body=body,
        content_type=headers.get("Content-Type", ""),
        headers=headers,
        may_have_run=False,  # providers do not charge for errors
    )


def failure_of_fault(fault: UpstreamFault) -> Failure:
    """Read a call that brought no answer at all."""
    if isinstance(fault, TimeoutFault):
        return timed_out(str(fault))
    if isinstance(fault, UnreachableFault):
        return Failure(
            Outcome.upstream_unreachable,
            0,
            "upstream_unreachable",
            f"Upstream: {fault}.",
            "anywhere",
            may_have_run=fault.may_have_run,
        )
    return unusable(f"Upstream: {fault}.")


def timed_out(what: str, *, is_callers_haste: bool = False) -> Failure:
    """Describe a deadline that passed; the same upstream is not asked again: time is spent."""
    return Failure(
        Outcome.upstream_timeout,
        0,
        "upstream_timeout",
        f"Upstream: {what}.",
        "elsewhere",
        is_callers_haste=is_callers_haste,
    )


def untranslatable(message: str, hint: str) -> Failure:
    """Describe a request that an upstream's dialect cannot say; nothing was sent."""
    return Failure(
        Outcome.refused, 400, "untranslatable", f"{message} {hint}", "elsewhere", may_have_run=False
    )


def unusable(message: str) -> Failure:
    """Describe an answer that claims success and is none."""
    return Failure(Outcome.upstream_error, 0, "upstream_unusable_answer", message, "anywhere")


def read_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the upstream's wish in seconds: retry-after-ms, seconds, or a date; None if none.

    What cannot be read counts as not sent; the rest lies between 0 and MOST_RETRY_AFTER_S.
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return _bounded(milliseconds / 1000)
    text = headers.get("retry-after", "")
    seconds = _number(text)
    if seconds is None:
        seconds = _seconds_until(text, now)
    return None if seconds is None else _bounded(seconds)


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), MOST_RETRY_AFTER_S)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return None if math.isnan(value) else value


def _seconds_until(date: str, now: float) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
        if moment.tzinfo is None:  # "-0000": UTC, of unknown place; not this machine's own zone
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp() - now
    except (TypeError, ValueError, OverflowError, IndexError):
        return None


class RetryBudget:
    """Bounds retries to a tenth of all requests, plus a few, so that an outage is not amplified."""

    RESERVE = 20.0
    SHARE = 0.1

    def __init__(self) -> None:
        self._tokens = self.RESERVE

    @property
    def is_empty(self) -> bool:
        return self._tokens < 1

    def earn(self) -> None:
        self._tokens = min(self._tokens + self.SHARE, self.RESERVE * 5)

    def spend(self) -> None:
        self._tokens -= 1
