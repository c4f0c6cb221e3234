"""What the pipeline must know of one inbound dialect; the table of them is in table.py.

A dialect reads requests and answers, it never changes them: what goes from one dialect to another
is proxy.providers' matter. Everything here is pure.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from proxy.dialects.reading import Asked
from proxy.error_shapes import ErrorShape


@dataclass(slots=True)
class AnswerFacts:
    """What an answer says of itself; `usage` is the provider's own block, None when it has none."""

    model: str = ""
    service_tier: str = ""
    finish_reasons: list[str] = field(default_factory=list)
    usage: Mapping[str, Any] | None = None
    units: dict[str, int] = field(default_factory=dict)
    object_ids: Collection[str] = ()  # objects the provider keeps for the caller
    is_pending: bool = False  # the provider works on; what it costs is told when it is done


class StreamTap(Protocol):
    """Reads a stream on the side while its bytes pass, and holds back its end."""

    model: str
    service_tier: str
    finish_reasons: dict[int, str]
    error: dict[str, Any] | None
    is_done: bool
    has_events: bool
    held: bytes

    @property
    def next_number(self) -> int:
        """The number of the next event; 0 in dialects that number none."""

    @property
    def object_ids(self) -> Collection[str]:
        """Objects the provider keeps, as far as they have been named."""

    @property
    def units(self) -> Mapping[str, int]:
        """What is billed by the piece, by unit."""

    @property
    def usage(self) -> Mapping[str, Any] | None:
        """The provider's usage as far as it has been told."""

    @property
    def kept_stream(self) -> bytes | None:
        """The whole stream; None when it did not fit or was not wanted."""

    def feed(self, chunk: bytes) -> bytes:
        """Take in a chunk and return what may go to the caller now."""

    def finish(self) -> bytes:
        """The upstream ended; return what may still go to the caller."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One inbound dialect.

    `read_request` raises InvalidRequestError; `read_answer` raises ValueError when a document that
    came with a 2xx is no answer. `is_free`: calls that the provider does not charge for.
    """

    endpoint: str
    read_request: Callable[[dict[str, Any]], Asked]
    read_answer: Callable[[Mapping[str, Any]], AnswerFacts]
    open_tap: Callable[[bool, int], StreamTap] | None = None  # strips_usage, keeps_bytes_limit
    ending: Callable[[StreamTap], Mapping[str, Any]] = lambda _: {}  # of a stream, as a document
    error_shape: ErrorShape = "openai"
    names_model: bool = True  # in the body; else in the path
    output_bounds: tuple[str, ...] = ()  # fields that bound the output, the current one first
    usage_is_asked_for: bool = False  # in stream_options, and left out again when it was not
    has_twins: bool = False  # a stored document can be told as a stream, and a stream as one
    replay_end: bytes = b""  # what ends a stream that is told again, after everything stored
    is_free: bool = False


def objects_in(value: object) -> Iterator[dict[str, Any]]:
    """Iterate over the objects of a list that came from outside."""
    return (
        (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())
    )


def text_of(value: object) -> str:
    """Return what a document says where it is text, and nothing where it is not."""
    return value if isinstance(value, str) else ""


def usage_of(value: object) -> Mapping[str, Any] | None:
    """Return a usage block where there is one."""
    return value if isinstance(value, dict) else None
