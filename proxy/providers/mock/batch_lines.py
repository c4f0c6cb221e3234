"""Reads the requests of a batch and answers them by the code of their own routes: pure.

Called by batches.py. ENDPOINTS is the list of what may be asked in a batch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from proxy.providers.mock.buckets import Buckets
from proxy.providers.mock.completions import Wishes, compose, read_chat_request
from proxy.providers.mock.embeddings import embedding_document, read_embedding_request
from proxy.providers.mock.errors import MockError, missing
from proxy.providers.mock.rendering import Usage, completion_document
from proxy.providers.mock.shelf import Document, new_id

MAX_REQUESTS = 50_000

# One answered request: its document and what it used.
Answered = tuple[Document, Usage]


def _answer_chat(body: bytes) -> Answered:
    request = read_chat_request(body)
    if request.is_streaming:
        raise MockError("Streaming is not supported in a batch.", param="stream")
    answer = compose(request, Wishes())
    tokens = sum(choice.count_tokens() for choice in answer.choices)
    usage = Usage(
        prompt_tokens=request.prompt.tokens,
        audio_tokens=request.prompt.audio_tokens,
        output_tokens=tokens,
        reasoning_tokens=answer.reasoning_tokens,
    )
    return completion_document(request, answer, usage), usage


def _answer_embeddings(body: bytes) -> Answered:
    request = read_embedding_request(body)
    return embedding_document(request), Usage(request.count_tokens())


ENDPOINTS: Mapping[str, Callable[[bytes], Answered]] = {
    "/v1/chat/completions": _answer_chat,
    "/v1/embeddings": _answer_embeddings,
}


@dataclass(slots=True)
class BatchOutcome:
    """The answered batch: its two files, its tokens, and how many requests went how."""

    model: str
    buckets: Buckets
    output: bytes = b""
    errors: bytes = b""
    completed: int = 0
    failed: int = 0

    def counts(self) -> dict[str, int]:
        total = self.completed + self.failed
        return {"total": total, "completed": self.completed, "failed": self.failed}


def read_lines(content: bytes, endpoint: str) -> list[Document]:
    """Read the requests; MockError when one is malformed, repeated or for another model."""
    rows = [row for row in content.split(b"\n", MAX_REQUESTS + 1) if row.strip()]
    if not rows:
        raise MockError("The input file is empty.", code="empty_file")
    if len(rows) > MAX_REQUESTS:
        raise MockError("The input file has too many requests.", code="too_many_tasks")
    lines = [_read_line(number, row, endpoint) for number, row in enumerate(rows, 1)]
    if len({line["custom_id"] for line in lines}) < len(lines):
        raise MockError("A custom_id occurs twice.", code="duplicate_custom_id")
    if len({str(line["body"].get("model")) for line in lines}) > 1:
        message = "All requests of a batch must be for the same model."
        raise MockError(message, code="mismatched_model")
    return lines


def _read_line(number: int, row: bytes, endpoint: str) -> Document:
    where = f"line {number}"
    try:
        line = orjson.loads(row)
    except orjson.JSONDecodeError:
        raise MockError(f"{where} is not valid JSON.", code="invalid_json_line") from None
    if not isinstance(line, dict) or not isinstance(line.get("custom_id"), str):
        raise missing(f"custom_id ({where})")
    if not isinstance(line.get("body"), dict):
        raise missing(f"body ({where})")
    if line.get("method") != "POST" or line.get("url") not in {endpoint, endpoint[3:]}:
        message = f"{where} must be a POST to {endpoint}."
        raise MockError(message, code="mismatched_url")
    return line


def answer_lines(lines: list[Document], endpoint: str) -> BatchOutcome:
    """Answer every request; those that are refused go into the error file and are free."""
    outcome = BatchOutcome(str(lines[0]["body"].get("model")), Buckets())
    answers, errors = [], []
    for line in lines:
        try:
            document, usage = ENDPOINTS[endpoint](orjson.dumps(line["body"]))
        except MockError as error:
            errors.append(_written(line, error.status, {"error": error.fields}))
            continue
        outcome.buckets = outcome.buckets.plus(Buckets.of(usage))
        answers.append(_written(line, 200, document))
    outcome.completed, outcome.failed = len(answers), len(errors)
    outcome.output, outcome.errors = b"".join(answers), b"".join(errors)
    return outcome


def _written(line: Document, status: int, body: dict[str, Any]) -> bytes:
    response = {"status_code": status, "request_id": new_id("req_", 32), "body": body}
    row = {
        "id": new_id("batch_req_"),
        "custom_id": line["custom_id"],
        "response": response,
        "error": None,
    }
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
