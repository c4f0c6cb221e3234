"""Data for the tests of proxy/: chunks and streams, stored answers, snapshots and requests."""

from itertools import pairwise
from typing import Any

import orjson
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from config.clock import Clock
from config.secrets import KeyRing
from ledger.price_book import PriceBook, load_price_book
from ledger.rating import TokenBuckets
from optimizer.decide import Decision
from optimizer.decision import bypass_plan
from policies.keys import key_hmac
from policies.model import Policy
from policies.snapshot import KeyRecord, Snapshot, Target, TenantRecord, Upstream, index_by_hmac
from proxy.answers import Form, StoredAnswer
from proxy.context import RequestContext
from proxy.dialects.table import DIALECTS
from proxy.live import LiveSnapshot, Place
from tests.policies.samples import make_snapshot

KEY_RING = KeyRing(b"master-key-of-the-tests-32-bytes")
SECRET = "an-operators-own-secret-of-32-characters"
HEAD = {"id": "chatcmpl-1", "created": 1_700_000_000, "model": "gpt-4o-2024-08-06"}
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
HELLO: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "hello"}],
}
PLACE = Place(upstream="openai", kind="openai", host="api.openai.com")


class SteppedClock(Clock):
    """A clock that stands still at the present, until it is stepped; both times go together."""

    def __init__(self) -> None:
        super().__init__()
        self._now = self._began = super().now()

    def step(self, seconds: float) -> None:
        self._now += seconds

    def now(self) -> float:
        return self._now

    def now_us(self) -> int:
        return round(self._now * 1_000_000)

    def monotonic(self) -> float:
        return 1000.0 + self._now - self._began


# --- streams


def chunk(delta: dict[str, Any], finish_reason: str | None = None, **fields: Any) -> dict[str, Any]:
    """Make a chunk with one choice; `index` and `logprobs` belong to the choice."""
    choice = {
        "index": fields.pop("index", 0),
        "delta": delta,
        "finish_reason": finish_reason,
        **{name: fields.pop(name) for name in ("logprobs",) if name in fields},
    }
    return {**HEAD, "object": "chat.completion.chunk", "choices": [choice], **fields}


def usage_chunk(usage: Any = USAGE) -> dict[str, Any]:
    return {**HEAD, "object": "chat.completion.chunk", "choices": [], "usage": usage}


def whole_stream() -> list[dict[str, Any]]:
    """Make the chunks of an answer in two words, with usage."""
    return [
        chunk({"role": "assistant", "content": ""}, service_tier="default", usage=None),
        chunk({"content": "Hello"}, usage=None),
        chunk({"content": " 🙂"}, usage=None),
        chunk({}, "stop", usage=None),
        usage_chunk(),
    ]


def event_of(document: Any, line_end: bytes = b"\n") -> bytes:
    return b"data: " + orjson.dumps(document) + line_end * 2


def stream_of(
    chunks: list[dict[str, Any]], line_end: bytes = b"\n", *, is_done: bool = True
) -> bytes:
    events = [event_of(each, line_end) for each in chunks]
    return b"".join([*events, b"data: [DONE]" + line_end * 2] if is_done else events)


def documents_in(events: list[bytes] | bytes) -> list[Any]:
    """Parse the events of a stream whose framing is plain, without its end marker."""
    data = events if isinstance(events, bytes) else b"".join(events)
    payloads = [event.removeprefix(b"data: ") for event in data.split(b"\n\n") if event]
    return [orjson.loads(payload) for payload in payloads if payload != b"[DONE]"]


@st.composite
def cuts(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Cut bytes into chunks at any places."""
    places = sorted(draw(st.sets(st.integers(1, max(1, len(data) - 1)), max_size=12)))
    edges = [0, *places, len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a < b]


# --- stored answers


def stored(form: Form, body: Any, **fields: Any) -> StoredAnswer:
    parts: dict[str, Any] = {
        "form": form,
        "body": body if isinstance(body, bytes) else orjson.dumps(body),
        "request_id": "req_first",
        "place": PLACE,
        "upstream_model": "gpt-4o",
        "served_model": "gpt-4o-2024-08-06",
        "served_tier": "default",
        "finish_reasons": ["stop"],
        "buckets": TokenBuckets(input_tokens=9, output_tokens=4),
        "provider_usage": orjson.dumps(USAGE).decode(),
        "stored_at": 0.0,
    }
    return StoredAnswer(**parts | fields)


# --- snapshots and requests


def upstream(name: str, base_url: str = "https://api.openai.com/v1", **fields: Any) -> Upstream:
    parts: dict[str, Any] = {
        "kind": "openai",
        "base_url": base_url,
        "api_key": "sk-upstream-secret",
        "allow_private": False,
        "region": "",
        "stream_usage": True,
        "is_simulated": False,
    }
    return Upstream(name, **parts | fields)


def key_record(key_id: str = "app", tenant: str = "acme", secret: str = SECRET) -> KeyRecord:
    digest = key_hmac(KEY_RING.pepper(), secret)
    return KeyRecord(key_id, tenant, key_id, digest, {"team": tenant})


def snapshot_with(*keys: KeyRecord, **changes: Any) -> Snapshot:
    by_id = {key.key_id: key for key in keys or (key_record(),)}
    policy = Policy(name="p")
    tenants = {key.tenant for key in by_id.values()}
    parts: dict[str, Any] = {
        "upstreams": {"openai": upstream("openai")},
        "models": {"gpt-4o": (Target("openai", "gpt-4o"),)},
        "keys_by_id": by_id,
        "keys_by_hmac": index_by_hmac(by_id),
        "policies": {policy.revision: policy},
        "tenants": {
            name: TenantRecord(name, policy.revision, None, is_demo=False) for name in tenants
        },
    }
    return make_snapshot(**parts | changes)


def live_snapshot(book: PriceBook | None = None, **changes: Any) -> LiveSnapshot:
    return LiveSnapshot(snapshot_with(**changes), book or load_price_book(), KEY_RING)


def request_context(live: LiveSnapshot, doc: dict[str, Any] | None = None, **fields: Any) -> Any:
    """Make the context of a chat request as it stands once the body is read."""
    doc = HELLO if doc is None else doc
    parts: dict[str, Any] = {
        "key": next(iter(live.snapshot.keys_by_id.values())),
        "body": orjson.dumps(doc),
        "doc": doc,
        "model": doc["model"],
        "request_key": "0" * 32,
        "deadline": 600.0,
    }
    dialect = DIALECTS[fields.pop("endpoint", "chat")]
    context = RequestContext("req_1", dialect, 0.0, live)
    for name, value in (parts | fields).items():
        setattr(context, name, value)
    return context


def decision(**changes: Any) -> Decision:
    base = Decision(
        arm="treated",
        propensity=1.0,
        policy_revision="p@1",
        rule="",
        models=("gpt-4o",),
        cache=bypass_plan("no_rule"),
        clamp_output_tokens=None,
        reasons=(),
    )
    return base._replace(**changes)


def request_headers(*pairs: tuple[str, str], **named: str) -> CIMultiDictProxy[str]:
    """Make headers as aiohttp hands them over; `named` with underscores for dashes."""
    listed = [*pairs, *((name.replace("_", "-"), value) for name, value in named.items())]
    return CIMultiDictProxy(CIMultiDict(listed))
