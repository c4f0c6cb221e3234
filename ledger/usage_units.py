"""What a provider's answer says it used that is not paid by token (pure); called by the proxy.

Names are those of AttemptEnd.units. What nobody prices is counted all the same: the ledger then
shows the cost as unknown instead of leaving it out.
"""

from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any

_MOST_UNITS = 10**9
# Path of a count -> its unit. Anthropic, then xAI.
_COUNTS = {
    ("server_tool_use", "web_search_requests"): "web_search_calls",
    ("server_side_tool_usage_details", "web_search_calls"): "web_search_calls",
    ("server_side_tool_usage_details", "x_search_calls"): "x_search_calls",
    ("server_side_tool_usage_details", "file_search_calls"): "file_search_calls",
}
UNIT_PATHS = frozenset({".".join(path) for path in _COUNTS} | {"seconds"})
# Documented as free beside their tokens: https://docs.claude.com (web fetch tool, pricing).
FREE_PATHS = frozenset({"server_tool_use.web_fetch_requests"})
_ITEMS = {"web_search_call": "web_search_calls", "file_search_call": "file_search_calls"}
_SESSION_ITEM = "code_interpreter_call"


def units_from_usage(usage: Mapping[str, Any]) -> dict[str, int]:
    """Units of a usage block of any dialect; empty when it has none.

    ValueError: a count that is not a whole number from 0 to 10^9, or a duration that is none.
    """
    units: dict[str, int] = {}
    for (name, key), unit in _COUNTS.items():
        block = usage.get(name)
        count = block.get(key) if isinstance(block, Mapping) else None
        if count:
            units[unit] = units.get(unit, 0) + _checked(count, f"{name}.{key}")
    if is_duration(usage):
        units["audio_input_ms"] = _duration_ms(usage.get("seconds"))
    return units


def is_duration(usage: Mapping[str, Any]) -> bool:
    """Whether this is OpenAI's usage of a transcription that is billed by its length."""
    return usage.get("type") == "duration"


def units_from_output(items: Iterable[Any]) -> dict[str, int]:
    """Tool calls among the output items of OpenAI's Responses API, which its usage leaves out.

    A session of the code interpreter is one container, however often it was called.
    """
    units: dict[str, int] = {}
    containers: set[str] = set()
    for item in items:
        kind = item.get("type") if isinstance(item, Mapping) else None
        if kind == _SESSION_ITEM:
            containers.add(str(item.get("container_id")))
        elif kind in _ITEMS and _is_charged(item):
            units[_ITEMS[kind]] = units.get(_ITEMS[kind], 0) + 1
    if containers:
        units["code_interpreter_sessions"] = len(containers)
    return units


def _is_charged(item: Mapping[str, Any]) -> bool:
    """Of a web search only the search itself is charged, not opening or reading a page."""
    action = item.get("action")
    return not isinstance(action, Mapping) or action.get("type", "search") == "search"


def _duration_ms(seconds: Any) -> int:
    """Whole milliseconds, a part of one counted as one."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ValueError("usage seconds is not a duration")
    if not 0 <= seconds <= _MOST_UNITS // 1000:
        raise ValueError(f"usage seconds is not a duration: {str(seconds)[:40]}")
    return int((Decimal(str(seconds)) * 1000).to_integral_value(ROUND_CEILING))


def _checked(count: Any, path: str) -> int:
    if type(count) is int and 0 <= count <= _MOST_UNITS:
        return count
    raise ValueError(f"{path} is not a count: {str(count)[:40]}")
