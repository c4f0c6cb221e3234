"""The price book as a document: its form on disk, its hash and where the committed one lies.

Written by config.prices.build and by the control process (overrides); read by ledger.price_book.

    {"header":    {"schema", "as_of", "sources": {name: {version, file, sha256, licence}}, ...},
     "overrides": {upstream: {model: {"price": {bucket: pico-USD per token}, "citation"}}},
     "providers": {provider: {model: {"mode", "limits", "names", "bands": [band, ...],
                                      "units": {unit: {"picousd", "state", "sources"}},
                                      "citation": of a price somebody reviewed}}}}

`names` is what a source calls the model where that is another name. A band is one set of prices
and the condition it holds under; the first one is always the standard tier from the first token
on. Keys that are left out mean "no condition":

    {"tier": "standard", "above_input_tokens": 0, "region": "", "valid_from": "", "valid_to": "",
     "state": "agreed" | "disputed", "reason": why disputed, "disputed": [bucket, ...],
     "price": {bucket: int}, "sources": {name: {bucket: int or null, where it deviates}}}

A threshold selects: above it the whole request is paid at the band's prices. `sources` is left out
when both sources state exactly `price`. Amounts are integers, so no parser can change them.
`units` are pico-USD apiece of what is not paid by token; a model paid by units alone has no bands.
The model `*` stands for the provider's tools, which cost the same with every model.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SCHEMA = 2
READABLE_SCHEMAS = (1, 2)  # 1 had neither units nor regions
BOOK_PATH = Path(__file__).with_name("book.json")
STANDARD = "standard"
TIERS = (STANDARD, "batch", "flex", "priority", "fast")
REGIONAL = "regional"  # any region that is not the global one
TOOLS_ENTRY = "*"  # a provider's entry for what its tools cost with every model
PRICE_BUCKETS = (
    "input",
    "output",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "audio_input",
    "image_input",
    "reasoning",
    "audio_output",
    "image_output",
)
_HEADER = "header"
_LINE_DEPTH = 2
_KEY = re.compile(rb'("(?:[^"\\]|\\.)*"):')

Document = dict[str, Any]


def canonical_bytes(document: Document) -> bytes:
    """The one serialisation that is hashed: ASCII, keys sorted, no spaces, one model a line.

    The line breaks let a reviewer read a price change as a one-line diff.
    """
    parts = (
        f"{json.dumps(key)}:{_render(document[key], 0 if key == _HEADER else _LINE_DEPTH)}"
        for key in sorted(document)
    )
    return ("{\n" + ",\n".join(parts) + "\n}\n").encode("ascii")


def book_hash(data: bytes) -> str:
    """sha256 hex of the file's bytes, so that `sha256sum` verifies a book too."""
    return hashlib.sha256(data).hexdigest()


def read_document(path: Path = BOOK_PATH) -> Document:
    """The parsed document, for those who change it; readers use ledger.price_book."""
    document: Document = json.loads(path.read_bytes())
    return document


def entry_state(entry: Mapping[str, Any]) -> str:
    """How far a model's price can be trusted as it is usually served: agreed or disputed."""
    if entry.get("bands"):
        return str(entry["bands"][0]["state"])
    states = {stated["state"] for stated in entry.get("units", {}).values()}
    return "agreed" if states == {"agreed"} else "disputed"


def index_rows(data: bytes) -> dict[tuple[str, ...], bytes]:
    """A canonical document's rows by path, their JSON unparsed.

    Paths are ("header",), ("overrides", upstream, model) and ("providers", provider, model).
    A request needs a handful of models, so a process keeps text and parses what it is asked for.
    ValueError when the lines are not those of `canonical_bytes`.
    """
    rows: dict[tuple[str, ...], bytes] = {}
    path: tuple[str, ...] = ()
    for line in data.splitlines()[1:]:
        text = line.removesuffix(b",")
        if text == b"}":
            path = path[:-1]
            continue
        match = _KEY.match(text)
        if match is None:
            raise ValueError("not in canonical form")
        key = json.loads(match[1]) if b"\\" in match[1] else match[1][1:-1].decode()
        value = text[match.end() :]
        if value == b"{":
            path = (*path, key)
        else:
            rows[*path, key] = value
    return rows


def _render(value: Any, depth: int) -> str:
    if not depth or not isinstance(value, dict) or not value:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    rows = (f"{json.dumps(key)}:{_render(value[key], depth - 1)}" for key in sorted(value))
    return "{\n" + ",\n".join(rows) + "\n}"
