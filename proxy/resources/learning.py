"""What the answer of a resource call teaches: new objects, finished ones, what they cost.

Filled by answering.py with each JSON document of an answer, before the caller sees it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from config.metrics import Metrics
from ledger.events import AttemptEnd
from proxy.dialects.dialect import objects_in, text_of, usage_of
from proxy.recorder import put_units, put_usage
from proxy.resources.billing import is_billed, units_of
from proxy.resources.ownership import Owner, OwnershipMap
from proxy.resources.paths import ResourcePath

# Objects that a finished one names as its results: they are its owner's, too.
RESULT_FIELDS = ("output_file_id", "error_file_id")
DONE_STATUSES = frozenset({"completed", "incomplete", "failed", "cancelled", "expired"})
# Objects whose cost is told when they are done, and the tier they are charged at.
OPEN_COLLECTIONS = {"batches": "batch", "responses": ""}


@dataclass(slots=True)
class Lesson:
    """One call's lesson; `owner` is whose its objects become."""

    method: str
    path: ResourcePath
    owner: Owner
    ownership: OwnershipMap
    metrics: Metrics
    told: Mapping[str, Any] | None = None  # the document whose usage is this call's to count

    def take(self, end: AttemptEnd, document: Mapping[str, Any]) -> None:
        """Claim and release objects; raises GatewayError 503 when a claim cannot be kept."""
        if is_billed(self.path.collection):
            if self.told is None or usage_of(document.get("usage")) is not None:
                self.told = document
            end.served_model = text_of(document.get("model")) or end.served_model
            return
        if self.method == "DELETE" and self.path.object_id and not self.path.rest:
            self.ownership.release(self.path.object_id)
            return
        self._claim(document)
        if self._is_due(document):
            self.told = document
            tier = OPEN_COLLECTIONS[self.path.collection]
            end.served_tier = tier or text_of(document.get("service_tier"))
            end.served_model = text_of(document.get("model")) or self.owner.model

    def _claim(self, document: Mapping[str, Any]) -> None:
        own_id = text_of(document.get("id"))
        if self.method == "POST" and own_id:
            is_open = self.path.collection in OPEN_COLLECTIONS and not _is_done(document)
            self.ownership.claim([own_id], self.owner, is_open=is_open)
        self.ownership.claim(_results_in(document), self.owner)

    def _is_due(self, document: Mapping[str, Any]) -> bool:
        """Whether an object is done that was begun by an earlier call, and nobody counted it."""
        return (
            self.path.collection in OPEN_COLLECTIONS
            and _is_done(document)
            and usage_of(document.get("usage")) is not None
            and self.ownership.settle(text_of(document.get("id")))
        )

    def put_cost(self, end: AttemptEnd, asked: Mapping[str, Any]) -> None:
        """Note what the call used; one that only keeps or shows objects used nothing."""
        if self.told is None and not is_billed(self.path.collection):
            end.usage_source = "none"
            return
        document = self.told or {}
        put_usage(end, usage_of(document.get("usage")), self.metrics)
        if end.usage_source != "provider":
            put_units(end, units_of(self.path, asked, document))


def _is_done(document: Mapping[str, Any]) -> bool:
    return document.get("status") in DONE_STATUSES


def _results_in(document: Mapping[str, Any]) -> Iterator[str]:
    for name in RESULT_FIELDS:
        yield text_of(document.get(name))
    listed = document.get("result_files")
    yield from (text_of(each) for each in listed) if isinstance(listed, list) else ()
    file = document.get("file")
    yield text_of(file.get("id")) if isinstance(file, dict) else ""
    yield from (text_of(each.get("id")) for each in objects_in(document.get("files")))
