"""What the supervisor tells the person who started it: progress, and then how to use the gateway.

As text, or as one structured log line each with APEX_LOG_FORMAT=json. Secrets are shown on a
terminal in development and written once when generated; they never enter a JSON log.
"""

import json
import logging
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from config.clock import Clock
from config.settings import Settings
from roles.engines import has_divided_caches
from roles.places import admin_token_path, demo_key_path

STEPS = 4
GENERATED_KEYS_FILE = "generated-keys.jsonl"
EXAMPLE_MODEL = "gpt-4o-mini"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SnapshotNews:
    """What the control process reports of a snapshot it built; `new_keys` are shown only now."""

    number: int
    default_upstream: str | None
    upstreams: dict[str, str]  # name -> kind
    models: list[str]
    tenants: list[str]
    has_demo: bool
    new_keys: list[dict[str, str]] = field(repr=False)


class Announcer:
    """Prints to standard output as text, or logs as JSON."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._is_json = settings.log_format == "json"
        self._clock = clock
        self._started_at = clock.monotonic()
        self._steps = 0

    def announce_step(self, text: str) -> None:
        """One line of progress, with the seconds since the start."""
        self._steps += 1
        line = f"[{self._steps}/{STEPS}] {text} ({self._elapsed_s():.1f} s)"
        if self._is_json:
            _log.info(line)
        else:
            _say(line)

    def announce_ready(self, news: SnapshotNews, urls: Mapping[str, str], admin_token: str) -> None:
        """The whole banner: base_url, key, a line to paste, upstream, admin URL, usage command."""
        if self._is_json:
            _log.info("Netra Apex is ready", extra={"fields": self._describe_ready(news, urls)})
            return
        rows = [
            ("base_url", f"{urls['proxy']}/v1"),
            *self._describe_keys(news),
            ("upstream", describe_upstream(news)),
            ("admin", f"{urls['admin']}   token: {self._show_token(admin_token)}"),
            ("usage", self._command("usage")),
        ]
        if has_divided_caches(self._settings):
            rows.append(("caches", describe_divided_caches(self._settings)))
        _say(
            f"\nNetra Apex is ready ({self._elapsed_s():.1f} s). Ctrl-C stops it.\n",
            *(f"  {name:<9} {text}" for name, text in rows),
            f"\n{self._curl_line(news, urls['proxy'])}\n",
        )

    def announce_new_keys(self, news: SnapshotNews) -> None:
        """Show generated keys the only time there is; a JSON log names a file that has them."""
        keys = [key for key in news.new_keys if key["tenant"] != "demo" or not news.has_demo]
        if not keys:
            return
        if self._is_json:
            keep_new_keys(self._settings, keys)
            return
        _say(
            "\n  API keys made now, shown this once:",
            *(f"  {key['tenant']}/{key['name']}   {key['secret']}" for key in keys),
            "",
        )

    def announce_stop(self, drain_s: float) -> None:
        """Say that the stop is under way, and how long it may take."""
        text = f"stopping: open requests have up to {drain_s:.0f} s, a second signal ends them now"
        if self._is_json:
            _log.info(text)
        else:
            _say(text)

    def announce_stopped(self) -> None:
        """Say that everything has ended as it should."""
        if self._is_json:
            _log.info("stopped")
        else:
            _say("stopped")

    def _elapsed_s(self) -> float:
        return self._clock.monotonic() - self._started_at

    def _describe_ready(self, news: SnapshotNews, urls: Mapping[str, str]) -> dict[str, Any]:
        settings = self._settings
        ready: dict[str, Any] = {
            "event": "ready",
            "seconds": round(self._elapsed_s(), 2),
            "base_url": f"{urls['proxy']}/v1",
            "admin_url": urls["admin"],
            "upstream": describe_upstream(news),
            "tenants": news.tenants,
        }
        if news.has_demo:
            ready["api_key_file"] = str(demo_key_path(settings))
        if settings.admin_token is None:
            ready["admin_token_file"] = str(admin_token_path(settings))
        if has_divided_caches(settings):
            ready["caches"] = describe_divided_caches(settings)
        return ready

    def _describe_keys(self, news: SnapshotNews) -> list[tuple[str, str]]:
        if news.has_demo:
            return [("API key", f"{self._demo_key()}   (tenant demo, for development)")]
        return [("API keys", f"those of the tenants {', '.join(news.tenants) or '(none yet)'}")]

    def _demo_key(self) -> str:
        try:
            return demo_key_path(self._settings).read_text().strip()
        except OSError as error:
            return f"(cannot read {demo_key_path(self._settings)}: {error.strerror})"

    def _show_token(self, token: str) -> str:
        return token if self._settings.admin_token is None else "the value of APEX_ADMIN_TOKEN"

    def _curl_line(self, news: SnapshotNews, proxy_url: str) -> str:
        key = self._demo_key() if news.has_demo else "$GATEWAY_KEY"
        model = news.models[0] if news.models else EXAMPLE_MODEL
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello!"}]})
        return (
            f"curl {proxy_url}/v1/chat/completions"
            f' -H "Authorization: Bearer {key}" -H "Content-Type: application/json"'
            f" -d {shlex.quote(body)}"
        )

    def _command(self, verb: str) -> str:
        """The verb as it is typed here: with the home where that is not the default one."""
        home = self._settings.environ.get("APEX_HOME", "")
        prefix = f"APEX_HOME={shlex.quote(home)} " if home else ""
        return f"{prefix}python main.py {verb}"


def _say(*lines: str) -> None:
    """Print; a terminal that was closed, or a pipe nobody reads, must not stop the gateway."""
    try:
        print("\n".join(lines), flush=True)
    except OSError:
        # What could not be written is kept and tried again at the end of the process, which would
        # then exit with a failure.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def keep_new_keys(settings: Settings, keys: Sequence[Mapping[str, str]]) -> None:
    """Add generated keys to a private file, and name it in the log, which must not have them."""
    if not keys:
        return
    path = settings.home / GENERATED_KEYS_FILE
    path.touch(mode=0o600)
    with path.open("ab") as file:
        for key in keys:
            file.write(orjson.dumps(dict(key), option=orjson.OPT_APPEND_NEWLINE))
    names = ", ".join(f"{key['tenant']}/{key['name']}" for key in keys)
    _log.info("made API keys for %s: take them from %s and delete it", names, path)


def describe_upstream(news: SnapshotNews) -> str:
    """Which upstream answers, and plainly so when it is the mock."""
    name = news.default_upstream
    if name is None:
        return f"by model, from {', '.join(news.upstreams)} (no default)"
    if news.upstreams.get(name) != "mock":
        return f"{name} (default of {', '.join(news.upstreams)})"
    others = [each for each, kind in news.upstreams.items() if kind != "mock"]
    why = (
        "it is the default upstream"
        if others
        else "no provider key is set (OPENAI_API_KEY or apex.yaml)"
    )
    return f"{name}: THE BUILT-IN MOCK answers, no provider is called, because {why}"


def describe_divided_caches(settings: Settings) -> str:
    """What memory:// means with several processes."""
    return (
        f"APEX_KV_URL=memory:// with {settings.workers} workers: each proxy has a cache of its own"
        f" and 1/{settings.workers} of the limits"
    )
