"""What a caller is told of its limits: the refusal, and the headers of answers (pure).

Called by the governor. Clients retry a 429 unless told not to: only what a short wait cures is
worth another try. Units of headers are those of OpenAI's.
"""

import math

from proxy.errors import GatewayError
from proxy.governing.claims import Claim, Hold, Verdict
from proxy.governing.rates import full, remaining_units, seconds_until

LONGEST_RETRY_S = 120.0  # clients take a longer Retry-After for: do not
NAMES = {"requests": "requests", "tokens": "tokens"}
HINTS = {
    "requests": "Send fewer requests a minute, or have the limit raised.",
    "tokens": "Send less a minute, lower max_tokens, or have the limit raised.",
    "open": "Wait for one of the open requests to end, or have the limit raised.",
}


def refusal(hold: Hold, verdict: Verdict, now_s: float) -> GatewayError:
    """The 429 for the claim that did not fit."""
    claim = hold.claims[verdict.refused]
    if claim.meter.kind == "money":
        return _out_of_money(claim, now_s)
    state, limit = verdict.states[verdict.refused], claim.meter.limit or 0
    is_impossible = claim.amount > limit
    wait_s = 1.0 if claim.meter.kind == "open" else seconds_until(state, limit, full(limit))
    headers = rate_headers(hold, verdict)
    headers["x-should-retry"] = "false" if is_impossible else "true"
    if not is_impossible:
        headers["retry-after"] = str(max(1, math.ceil(wait_s)))
        headers["retry-after-ms"] = str(max(1, math.ceil(wait_s * 1000)))
    hint = HINTS[claim.meter.kind]
    return GatewayError(429, "rate_limit_exceeded", _reason(claim, limit), hint, headers=headers)


def unpriced(model: str) -> GatewayError:
    """The 429 for a call whose cost nobody can bound."""
    return GatewayError(
        429,
        "insufficient_quota",
        f"This key has a hard budget, and what {model or 'this call'} costs is not known here.",
        "Declare a price for it in apex.yaml, or limits.fallback_price.",
        headers={"x-should-retry": "false"},
    )


def _out_of_money(claim: Claim, now_s: float) -> GatewayError:
    end_s = claim.span.end_s if claim.span is not None else now_s
    return GatewayError(
        429,
        "insufficient_quota",
        f"The budget of this {claim.meter.level} for the {claim.meter.period} is used up.",
        "Wait for the next one, lower max_tokens, or have it raised.",
        headers={
            "retry-after": str(max(1, math.ceil(end_s - now_s))),
            "x-should-retry": "false",
        },
    )


def _reason(claim: Claim, limit: int) -> str:
    level, kind = claim.meter.level, claim.meter.kind
    if kind == "open":
        return f"This {level} has {limit} requests open, its limit."
    if claim.amount > limit:
        return (
            f"This request may take {claim.amount} tokens, and this {level} has {limit} a minute."
        )
    return f"This {level} has used its {limit} {NAMES[kind]} a minute."


def rate_headers(hold: Hold, verdict: Verdict) -> dict[str, str]:
    """`x-ratelimit-*` of the tightest limit on requests, and of that on tokens."""
    headers: dict[str, str] = {}
    for kind, word in NAMES.items():
        found = [
            (_room(claim, state, verdict), claim.meter.limit or 0, state)
            for claim, state in zip(hold.claims, verdict.states, strict=True)
            if claim.meter.kind == kind
        ]
        if found:
            room, limit, level = min(found)
            headers[f"x-ratelimit-limit-{word}"] = str(limit)
            headers[f"x-ratelimit-remaining-{word}"] = str(room)
            headers[f"x-ratelimit-reset-{word}"] = duration_text(seconds_until(level, limit))
    return headers


def _room(claim: Claim, state: int, verdict: Verdict) -> int:
    """What is left; of a refused claim the state is as if it had been granted."""
    level = state if verdict.refused < 0 else state - claim.amount * full(1)
    return remaining_units(level, claim.meter.limit or 0)


def duration_text(seconds: float) -> str:
    """Seconds as OpenAI writes them: 17ms, 8.64s, 6m0s, 1h0m0s."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    if seconds < 60:
        return f"{math.ceil(seconds * 100) / 100:g}s"
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s"
