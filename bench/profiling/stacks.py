"""Reads collapsed stacks, as `py-spy record --format raw` writes them, and books them. Pure.

One line a stack: frames from the root, parted by `;`, then the count of samples.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Stack = tuple[str, ...]
REST = "the event loop, sockets and all else"

# Stage -> beginnings of `file` or `file:function`, as frames name them. The most specific wins.
STAGES: Mapping[str, Sequence[str]] = {
    "intake: read, decode and check the request": (
        "proxy/intake", "proxy/bodies", "proxy/unpacking", "proxy/context", "proxy/dialects/",
        "optimizer/dialects", "proxy/completeness",
    ),
    "admission: API key and limits": ("proxy/admission", "proxy/auth", "proxy/limits"),
    "decide: policy rules, session and arm": (
        "optimizer/decide", "optimizer/decision", "optimizer/routing", "optimizer/session",
        "optimizer/eligibility", "optimizer/completeness", "policies/",
    ),
    "digest: canonical cache key and prefix digests": (
        "optimizer/caching", "optimizer/prefix", "config/mac",
    ),
    "cache and coalescing": (
        "proxy/cache", "proxy/flights", "storage/memory_cache", "proxy/ready_response",
    ),
    "upstream: connection, request and answer": (
        "proxy/upstream", "proxy/wire_", "proxy/connector", "proxy/keep_alive", "proxy/retry",
        "proxy/breaker", "proxy/providers/",
    ),
    "recorder: START and END, rating, segment log": (
        "proxy/recorder", "proxy/event_drafts", "proxy/live", "proxy/receipts", "proxy/unmetered",
        "ledger/",
    ),
    "reply: headers and body to the caller": (
        "proxy/document_reply", "proxy/stream_reply", "proxy/streaming/", "proxy/reply_headers",
        "proxy/answers", "proxy/answer_reading", "proxy/error_shapes", "proxy/errors",
    ),
    "pipeline and the rest of proxy/": ("proxy/",),
    "metrics and logging": ("config/metrics", "config/log"),
    "aiohttp's server": ("aiohttp/",),
}  # fmt: skip


@dataclass(slots=True)
class Node:
    """A frame with all that it called; `samples` includes them."""

    name: str
    samples: int = 0
    callees: dict[str, "Node"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Price:
    """A stage's share of the samples: its own, and with everything it called."""

    stage: str
    own: float
    inclusive: float


def read_stacks(lines: Iterable[str], root: str = "") -> Counter[Stack]:
    """Samples by stack; with `root` only stacks that pass a frame beginning so, from there on."""
    found: Counter[Stack] = Counter()
    for line in lines:
        text, _, count = line.rstrip().rpartition(" ")
        if not text or not count.isdecimal():
            continue
        frames = tuple(text.split(";"))
        start = next((i for i, frame in enumerate(frames) if frame.startswith(root)), None)
        if start is not None:
            found[frames[start:]] += int(count)
    return found


def stage_of(frame: str) -> str | None:
    """The stage that a frame, `function (file)` or `function (file:line)`, belongs to."""
    place = frame.partition("(")[2].rstrip(")")
    matches = [
        (len(beginning), stage)
        for stage, beginnings in STAGES.items()
        for beginning in beginnings
        if place.startswith(beginning)
    ]
    return max(matches)[1] if matches else None


def price_stages(stacks: Counter[Stack]) -> list[Price]:
    """The dearest first. A sample belongs to the innermost frame that has a stage."""
    total = sum(stacks.values()) or 1
    own: Counter[str] = Counter()
    inclusive: Counter[str] = Counter()
    for stack, count in stacks.items():
        passed = [stage for frame in stack for stage in [stage_of(frame)] if stage is not None]
        own[passed[-1] if passed else REST] += count
        for stage in set(passed) or {REST}:
            inclusive[stage] += count
    return [
        Price(stage, samples / total, inclusive[stage] / total)
        for stage, samples in own.most_common()
    ]


def build_tree(stacks: Counter[Stack]) -> Node:
    """All stacks as one tree under a root that has every sample."""
    root = Node("all")
    for stack, count in stacks.items():
        node = root
        node.samples += count
        for frame in stack:
            node = node.callees.setdefault(frame, Node(frame))
            node.samples += count
    return root
