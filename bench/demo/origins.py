"""What of the demo is real, derived or synthetic. Shown by the table, the page and docs/demo.md."""

from typing import NamedTuple

REAL, DERIVED, SYNTHETIC, MEASURED = "real", "derived", "synthetic", "measured"


class Origin(NamedTuple):
    """One thing the demo is made of."""

    what: str
    kind: str
    how: str


MEANINGS = {
    REAL: "taken from a public set as it is",
    DERIVED: "computed from real figures by the rule given",
    SYNTHETIC: "made up by the demo",
    MEASURED: "observed in this run, on this machine",
}
ORIGINS = (
    Origin(
        "arrival times",
        REAL,
        "Azure LLM inference traces 2023, both services, evenly thinned to 5,000 of 28,185; "
        "replayed on a scaled clock, and events carry the trace's time (but for those sent twice)",
    ),
    Origin(
        "tokens in",
        DERIVED,
        "Azure's ContextTokens of that arrival, at most 4,096 (6 % are longer), at the mock's four "
        "characters a token; a repeated prompt has the length of its first time",
    ),
    Origin("tokens out", DERIVED, "Azure's GeneratedTokens of that arrival; repeats as above"),
    Origin(
        "prompts' words",
        REAL,
        "MMLU and GSM8K (from RouteLLM's evaluation sets) and banking77; put together by the demo",
    ),
    Origin(
        "shared prefixes of chats",
        DERIVED,
        "Mooncake's conversation trace, request by request: equal block ids are equal text, "
        "512-token blocks shrunk to 64 because Azure's prompts are a tenth as long; 18 % of the "
        "prompts' blocks continue a prefix seen before, 32 % in those Mooncake requests, whose "
        "lengths are their own",
    ),
    Origin(
        "chats asked again",
        DERIVED,
        "only where every block of the Mooncake request is the same: 0.7 % of them",
    ),
    Origin(
        "lookups asked again",
        DERIVED,
        "a question returns when a Mooncake request opens with a block seen before (the one "
        "after the block that all share): a quarter of them",
    ),
    Origin(
        "lookups sent twice at once",
        SYNTHETIC,
        "every 30th lookup is the one before it, 0.2 s later: a client's retry or double click",
    ),
    Origin(
        "which service is what",
        SYNTHETIC,
        "the conversation trace plays a chat, the code trace short lookups behind examples",
    ),
    Origin(
        "temperature 0",
        SYNTHETIC,
        "all lookups and a third of the conversations; the others are never cached",
    ),
    Origin("models and sessions", SYNTHETIC, "by conversation, by question, by desk"),
    Origin("streamed", SYNTHETIC, "every third request"),
    Origin("prices", REAL, "the committed price book"),
    Origin(
        "the model's pace",
        SYNTHETIC,
        "0.4 s + 0.1 ms a token in + 15 ms a token out of the trace's time, shrunk by the scale",
    ),
    Origin(
        "the provider's prompt cache",
        SYNTHETIC,
        "the mock's: prefixes of 1,024 tokens and more, for five minutes of real time, hence for "
        "the whole replay; both policies get the same",
    ),
)
