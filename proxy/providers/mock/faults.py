"""The x-mock-* request headers: what a caller asks the mock to do wrong. Called by chat.py, app.py.

docs/mock-provider.md lists them; HEADERS is the same list in code, and their test compares the two.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from proxy.providers.mock.completions import Wishes
from proxy.providers.mock.errors import MockError
from proxy.providers.mock.text import digest_of

PREFIX = "x-mock-"
GARBAGE = ("html", "broken-json", "no-usage", "no-done", "empty", "error-event")
SILENCES = ("start", "headers")
FINISHES = ("stop", "length", "content_filter")
MAX_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """What goes wrong with one call; the defaults are a healthy one. Times in milliseconds."""

    latency_ms: float = 0
    token_ms: float = 0
    output_tokens: int | None = None
    finish_reason: str | None = None
    is_refusal: bool = False
    key: str = ""
    fail_first: int = 0
    # From here on: failures, which fail_first limits to the first attempts.
    status: int | None = None
    retry_after: str | None = None
    is_reset: bool = False
    silence: str | None = None
    silence_after_tokens: int | None = None
    cut_after_tokens: int | None = None
    garbage: str | None = None

    def wishes(self) -> Wishes:
        return Wishes(self.output_tokens, self.finish_reason, self.is_refusal)

    def healed(self) -> "FaultPlan":
        """Return the plan without its failures; pace and content stay."""
        return FaultPlan(
            latency_ms=self.latency_ms,
            token_ms=self.token_ms,
            output_tokens=self.output_tokens,
            finish_reason=self.finish_reason,
            is_refusal=self.is_refusal,
        )

    def has_failure(self) -> bool:
        return self != replace(self.healed(), key=self.key, fail_first=self.fail_first)


HEALTHY = FaultPlan()


def _milliseconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 3_600_000:
        raise ValueError
    return value


def _count(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 1_000_000:
        raise ValueError
    return value


def _status(text: str) -> int:
    value = int(text)
    if not 400 <= value <= 599:
        raise ValueError
    return value


def _flag(text: str) -> bool:
    return {"1": True, "true": True, "0": False, "false": False}[text.lower()]


def _one_of(*names: str) -> Callable[[str], str]:
    return lambda text: {name: name for name in names}[text]


def _silence(text: str) -> str:
    return "start" if text in {"1", "true"} else _one_of(*SILENCES)(text)


# Header (without its prefix) -> (field of FaultPlan, reader, what a good value is)
HEADERS: dict[str, tuple[str, Callable[[str], Any], str]] = {
    "latency-ms": ("latency_ms", _milliseconds, "milliseconds, 0 to 3600000"),
    "token-ms": ("token_ms", _milliseconds, "milliseconds, 0 to 3600000"),
    "output-tokens": ("output_tokens", _count, "a count of tokens"),
    "finish-reason": ("finish_reason", _one_of(*FINISHES), " | ".join(FINISHES)),
    "refusal": ("is_refusal", _flag, "1"),
    "key": ("key", str, "any text"),
    "fail-first": ("fail_first", _count, "a count of attempts"),
    "status": ("status", _status, "an error status, 400 to 599"),
    "retry-after": ("retry_after", str, "seconds or a date, sent as they are"),
    "reset": ("is_reset", _flag, "1"),
    "silence": ("silence", _silence, "1 | start | headers"),
    "silence-after-tokens": ("silence_after_tokens", _count, "a count of tokens"),
    "cut-after-tokens": ("cut_after_tokens", _count, "a count of tokens"),
    "garbage": ("garbage", _one_of(*GARBAGE), " | ".join(GARBAGE)),
}


def read_plan(headers: Mapping[str, str]) -> FaultPlan:
    """Read the headers; an unknown or malformed one is refused, so that no test tests nothing."""
    asked: dict[str, Any] = {}
    for header, text in headers.items():
        name = header.lower()
        if not name.startswith(PREFIX):
            continue
        if name[len(PREFIX) :] not in HEADERS:
            known = ", ".join(PREFIX + known for known in HEADERS)
            raise MockError(f"Unknown header {name}. Known ones: {known}.", code="mock_header")
        field, read, good = HEADERS[name[len(PREFIX) :]]
        try:
            asked[field] = read(text.strip())
        except (ValueError, KeyError):
            raise MockError(f"{name} must be: {good}.", code="mock_header") from None
    return FaultPlan(**asked) if asked else HEALTHY


class FailedAttempts:
    """Counts the attempts of each key, for x-mock-fail-first; bounded, the oldest keys leave."""

    def __init__(self) -> None:
        self._attempts: OrderedDict[str, int] = OrderedDict()

    def settle(self, plan: FaultPlan, body: bytes) -> FaultPlan:
        """Return what this attempt does: fail as asked, or succeed once enough have failed."""
        if not plan.fail_first:
            return plan
        key = plan.key or digest_of(body).hex()
        seen = self._attempts.get(key, 0) + 1
        self._attempts[key] = seen
        if len(self._attempts) > MAX_KEYS:
            self._attempts.popitem(last=False)
        if seen > plan.fail_first:
            return plan.healed()
        return plan if plan.has_failure() else replace(plan, status=500)


def error_of(plan: FaultPlan) -> MockError:
    """Make the error that x-mock-status or x-mock-retry-after asks for."""
    status = plan.status or 429
    headers = {"Retry-After": plan.retry_after} if plan.retry_after is not None else {}
    message = f"Simulated error: a x-mock-* header asked for status {status}."
    return MockError(message, status=status, headers=headers)
