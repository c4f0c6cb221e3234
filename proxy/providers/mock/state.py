"""What the mock keeps in memory between calls; made by app.py, used by chat.py and app.py."""

from collections import Counter
from uuid import uuid4

from aiohttp import web

from proxy.providers.mock.bill import Bill
from proxy.providers.mock.buckets import Charge
from proxy.providers.mock.errors import MockError
from proxy.providers.mock.faults import FailedAttempts
from proxy.providers.mock.prompts import PromptCache
from proxy.providers.mock.rendering import Usage
from proxy.providers.mock.shelf import Shelf
from proxy.providers.mock.text import digest_of

REFUSED_KEY_PREFIX = "sk-invalid"
AZURE_PREFIX = "/openai/"
KEY_PROTOCOL = "openai-insecure-api-key."
_FIXED_HEADERS = {
    "openai-organization": "org-mock",
    "openai-version": "2020-10-01",
    "openai-processing-ms": "1",
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-limit-tokens": "2000000",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-remaining-tokens": "1999000",
    "x-ratelimit-reset-requests": "6ms",
    "x-ratelimit-reset-tokens": "30ms",
}


def answer_headers(request_id: str) -> dict[str, str]:
    """Make the headers OpenAI sends with every answer, errors included."""
    return {**_FIXED_HEADERS, "x-request-id": request_id}


def new_request_id() -> str:
    return f"req_{uuid4().hex}"


class MockState:
    """The bill, the simulated prompt cache and the counters of one mock process."""

    def __init__(self, bill: Bill) -> None:
        self.bill = bill
        self.prompt_cache = PromptCache(bill.clock)
        self.attempts = FailedAttempts()
        self.shelf = Shelf(bill.clock)
        self.calls_by_path: Counter[str] = Counter()
        self.answers_by_status: Counter[str] = Counter()
        self.clients_left = 0
        self.billed = 0


STATE = web.AppKey("STATE", MockState)


class Call:
    """One request: who asks, its ids, and its line on the bill, written once."""

    def __init__(self, request: web.Request) -> None:
        self.state = request.app[STATE]
        self.api_key = _bearer(request)
        self.request_id = new_request_id()
        self.bill_id = request.headers.get("x-client-request-id", self.request_id)
        self.is_billed = False

    def owner(self, model: str) -> bytes:
        """Name the prompt cache of this key and model."""
        return digest_of(self.api_key.encode("utf-8", "surrogateescape"), model.encode())

    def headers(self) -> dict[str, str]:
        return answer_headers(self.request_id)

    def charge(self, model: str, usage: Usage, *, is_complete: bool) -> None:
        """Write the call's line; later charges of the same call change nothing."""
        if self._is_first_charge():
            self.state.bill.record(self.bill_id, model, usage, is_complete=is_complete)

    def charge_for(self, charge: Charge, *, is_complete: bool) -> None:
        """As `charge`, for what is no plain chat: other tiers, audio, images, units."""
        if self._is_first_charge():
            self.state.bill.record_charge(self.bill_id, charge, is_complete=is_complete)

    def charge_part(self, number: int, charge: Charge, *, is_complete: bool) -> None:
        """Write the line of one part of a long call, such as a response of a realtime session."""
        request, _, attempt = self.bill_id.partition(".")
        line_id = f"{request}-{number}.{attempt or 1}"
        self.state.billed += 1
        self.state.bill.record_charge(line_id, charge, is_complete=is_complete)

    def _is_first_charge(self) -> bool:
        if self.is_billed:
            return False
        self.is_billed = True
        self.state.billed += 1
        return True


def _bearer(request: web.Request) -> str:
    scheme, _, key = _authorization(request).partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        message = "No API key was given: send it as 'Authorization: Bearer KEY'."
        raise MockError(message, status=401, code="missing_api_key")
    if key.startswith(REFUSED_KEY_PREFIX):
        raise MockError("The API key is not valid.", status=401, code="invalid_api_key")
    return key.strip()


def _authorization(request: web.Request) -> str:
    """Return the Authorization header, or its stand-ins: Azure's header, realtime's protocol."""
    headers = request.headers
    if "Authorization" in headers:
        return headers["Authorization"]
    if "api-key" in headers and request.path.startswith(AZURE_PREFIX):
        return f"Bearer {headers['api-key']}"
    for protocol in headers.get("Sec-WebSocket-Protocol", "").split(","):
        if protocol.strip().startswith(KEY_PROTOCOL):
            return f"Bearer {protocol.strip()[len(KEY_PROTOCOL) :]}"
    return ""
