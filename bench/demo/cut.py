"""Makes bench/demo/data from the public sets; run by hand: `python -m bench.demo.cut DIRECTORY`.

DIRECTORY holds the sets as bench/demo/data/README.md lists them. The same input gives the same
bytes. It takes what is real; what the demo makes up is decided in workload.py.
"""

import csv
import gzip
import io
import json
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from bench.demo.workload import BLOCK_TOKENS, CHAT, LOOKUP, PROMPTS_PATH, REQUESTS_PATH

REQUESTS = 5000
MOST_CONTEXT_TOKENS = 4096
SUBJECTS = (
    "astronomy", "business_ethics", "clinical_knowledge", "college_biology", "computer_security",
    "econometrics", "international_law", "jurisprudence", "machine_learning", "management",
    "marketing", "nutrition", "philosophy", "prehistory", "sociology", "us_foreign_policy",
)  # fmt: skip
CHAT_TEXTS = 700  # of each set
DOUBLE_EVERY = 30
DOUBLE_AFTER_MS = 200


class Arrival(NamedTuple):
    """One line of the Azure traces; `at_s` in unix seconds."""

    at_s: float
    app: str
    context_tokens: int
    generated_tokens: int


class Reuse(NamedTuple):
    """What one Mooncake request says of ours: which prompt it is, and its prefix blocks."""

    prompt: int
    blocks: list[int]


def read_lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        yield from lines


def read_arrivals(path: Path, app: str) -> Iterator[Arrival]:
    for row in csv.DictReader(read_lines(path)):
        at = datetime.fromisoformat(row["TIMESTAMP"][:26] + "+00:00")
        context, generated = int(row["ContextTokens"]), int(row["GeneratedTokens"])
        yield Arrival(at.timestamp(), app, context, generated)


def thin(arrivals: list[Arrival], count: int) -> list[Arrival]:
    """Every so-manieth arrival, so that the hour keeps its shape."""
    ordered = sorted(arrivals)
    return [ordered[number * len(ordered) // count] for number in range(count)]


def read_mooncake(path: Path) -> list[list[int]]:
    return [json.loads(line)["hash_ids"] for line in read_lines(path)]


def number_by_first_seen(keys: Iterable[Any]) -> list[int]:
    seen: dict[Any, int] = {}
    return [seen.setdefault(key, len(seen)) for key in keys]


def chat_reuse(requests: list[list[int]]) -> list[Reuse]:
    """A prompt is the same only where every block of the Mooncake request is."""
    prompts = number_by_first_seen(tuple(blocks) for blocks in requests)
    names: dict[int, int] = {}
    return [
        Reuse(prompt, [names.setdefault(block, len(names)) for block in blocks])
        for prompt, blocks in zip(prompts, requests, strict=True)
    ]


def lookup_reuse(requests: list[list[int]]) -> list[Reuse]:
    """A question is asked again when a request opens with the same block after the common one."""
    keys = (blocks[1] if len(blocks) > 1 else -number for number, blocks in enumerate(requests))
    return [Reuse(question, []) for question in number_by_first_seen(keys)]


def make_rows(arrivals: list[Arrival], mooncake: list[list[int]]) -> Iterator[list[object]]:
    """One line a request; the same prompt again has the lengths of its first time."""
    chats = sum(arrival.app == CHAT for arrival in arrivals)
    lookups = len(arrivals) - chats
    reuse = {
        CHAT: iter(chat_reuse(mooncake[:chats])),
        LOOKUP: iter(lookup_reuse(mooncake[chats : chats + lookups])),
    }
    lengths: dict[tuple[str, int], tuple[int, int]] = {}
    for arrival in arrivals:
        prompt, blocks = next(reuse[arrival.app])
        own = (min(arrival.context_tokens, MOST_CONTEXT_TOKENS), arrival.generated_tokens)
        context, generated = lengths.setdefault((arrival.app, prompt), own)
        kept = blocks[: context // BLOCK_TOKENS + 1]
        at_ms = round((arrival.at_s - arrivals[0].at_s) * 1000)
        yield [at_ms, arrival.app, prompt, context, generated, " ".join(map(str, kept)), ""]


def add_doubles(rows: list[list[object]]) -> None:
    """Turn every so-manieth lookup into the one before it, sent again at once. Made up."""
    lookups = [row for row in rows if row[1] == LOOKUP]
    for number in range(DOUBLE_EVERY, len(lookups), DOUBLE_EVERY):
        before, row = lookups[number - 1], lookups[number]
        row[:] = [int(str(before[0])) + DOUBLE_AFTER_MS, *before[1:6], "double"]
    rows.sort(key=lambda row: int(str(row[0])))


def read_prompts(directory: Path) -> dict[str, Any]:
    """The words: questions by subject for the lookups, customers' sentences for the chats."""
    lookup: dict[str, list[str]] = {subject: [] for subject in SUBJECTS}
    for row in csv.DictReader(read_lines(directory / "routellm" / "mmlu_pair.csv.gz")):
        if row["subject"] in lookup and row["contaminated"] == "0":
            lookup[row["subject"]].append(row["prompt"])
    chat = []
    for name, column in (("routellm/gsm8k_pair", "prompt"), ("pairs/banking77", "text")):
        rows = list(csv.DictReader(read_lines(directory / f"{name}.csv.gz")))
        step = len(rows) // CHAT_TEXTS
        chat += [" ".join(row[column].split()) for row in rows[::step][:CHAT_TEXTS]]
    return {"lookup": lookup, "chat": chat}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{path.name}: {path.stat().st_size:,} bytes")


def main(directory: Path) -> None:
    traces = directory / "traces"
    arrivals = [
        *read_arrivals(traces / "azure_llm_2023_conv.csv.gz", CHAT),
        *read_arrivals(traces / "azure_llm_2023_code.csv.gz", LOOKUP),
    ]
    mooncake = read_mooncake(traces / "mooncake_conversation.jsonl.gz")
    rows = list(make_rows(thin(arrivals, REQUESTS), mooncake))
    add_doubles(rows)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["at_ms", "app", "prompt", "context", "generated", "blocks", "note"])
    writer.writerows(rows)
    write(REQUESTS_PATH, table.getvalue())
    write(PROMPTS_PATH, json.dumps(read_prompts(directory), ensure_ascii=False))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
