"""Where each family's dialects live at an upstream, and how it wants to be asked.

Called by live.py, once per upstream and snapshot; urls of a model are kept as they are asked for.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import quote

from yarl import URL

from config.provider_kinds import MOCK_KIND
from policies.snapshot import Upstream
from proxy.providers.bedrock import host_url
from proxy.providers.compatible import COMPATIBLE
from proxy.providers.families import Family, family_of, played_kind

ANTHROPIC_VERSION = "2023-06-01"
MOST_KEPT_URLS = 4096
PUBLIC_BASE_URLS: dict[Family, str] = {
    "anthropic": "https://api.anthropic.com",
    "gemini": "https://generativelanguage.googleapis.com/v1beta",
}
OPENAI_PATHS = {
    "chat": "chat/completions",
    "embeddings": "embeddings",
    "responses": "responses",
    "input_tokens": "responses/input_tokens",
    "completions": "completions",
}
ANTHROPIC_PATHS = {"messages": "v1/messages", "count_tokens": "v1/messages/count_tokens"}
GEMINI_VERBS = {
    "gemini": "generateContent",
    "gemini_stream": "streamGenerateContent",
    "gemini_count": "countTokens",
    "gemini_embed": "embedContent",
    "gemini_batch_embed": "batchEmbedContents",
}


class Address(NamedTuple):
    """One operation of one model: the dialect it is spoken in, and whether it is a stream."""

    endpoint: str
    model: str
    is_streaming: bool


class AddressBook:
    """The urls of one upstream."""

    def __init__(self, upstream: Upstream) -> None:
        self.base = public_base(upstream)
        self._upstream = upstream
        self._family = family_of(upstream)
        self._kept: dict[Address, URL] = {}

    def url(self, endpoint: str, model: str = "", *, is_streaming: bool = False) -> URL:
        """Return where an operation is asked for; KeyError for one this family does not have."""
        address = Address(endpoint, model, is_streaming)
        url = self._kept.get(address)
        if url is None:
            url = WRITERS[self._family](self, address)
            if len(self._kept) < MOST_KEPT_URLS:
                self._kept[address] = url
        return url

    def resource(self, path: str, query: str) -> URL:
        """Return the url of anything below `/v1/` that OpenAI's API has; path as it came."""
        base = self.base
        if self._family == "azure":
            base = base if _is_azure_v1(base) else base.join(URL("openai/v1/"))
        return URL(f"{base}{path}{'?' + query if query else ''}", encoded=True)

    def openai(self, address: Address) -> URL:
        return self.base.join(URL(OPENAI_PATHS[address.endpoint]))

    def azure(self, address: Address) -> URL:
        """A deployment's own path with its api-version, or the newer API without either."""
        path = OPENAI_PATHS[address.endpoint]
        version = self._upstream.api_version
        if _is_azure_v1(self.base):
            return self.base.join(URL(path))
        if not version or address.endpoint in {"responses", "input_tokens"}:
            url = self.base.join(URL(f"openai/v1/{path}"))
            return url.with_query({"api-version": version}) if version else url
        deployment = quote(address.model, safe="")
        return URL(
            f"{self.base}openai/deployments/{deployment}/{path}?api-version={quote(version)}",
            encoded=True,
        )

    def anthropic(self, address: Address) -> URL:
        path = ANTHROPIC_PATHS[address.endpoint]
        if self.base.path.endswith("/v1/"):
            path = path.removeprefix("v1/")
        return self.base.join(URL(path))

    def gemini(self, address: Address) -> URL:
        name = address.endpoint
        if name == "gemini" and address.is_streaming:
            name = "gemini_stream"
        model = quote(address.model.removeprefix("models/"), safe="")
        end = "?alt=sse" if name == "gemini_stream" else ""
        return URL(f"{self.base}models/{model}:{GEMINI_VERBS[name]}{end}", encoded=True)

    def bedrock(self, address: Address) -> URL:
        verb = "converse-stream" if address.is_streaming else "converse"
        return URL(f"{self.base}model/{quote(address.model, safe='')}/{verb}", encoded=True)

    def litellm(self, address: Address) -> URL:
        raise KeyError(address.endpoint)  # its door makes url and body together


WRITERS: dict[Family, Callable[[AddressBook, Address], URL]] = {
    "openai": AddressBook.openai,
    "azure": AddressBook.azure,
    "anthropic": AddressBook.anthropic,
    "gemini": AddressBook.gemini,
    "bedrock": AddressBook.bedrock,
    "litellm": AddressBook.litellm,
}


def _is_azure_v1(base: URL) -> bool:
    return base.path.rstrip("/").endswith("/v1")


def public_base(upstream: Upstream) -> URL:
    """Return the root of an upstream's API with a slash at its end; an empty URL for none."""
    family = family_of(upstream)
    compatible = COMPATIBLE.get(played_kind(upstream))
    own = compatible.base_url if compatible is not None else ""
    text = upstream.base_url or own or PUBLIC_BASE_URLS.get(family, "")
    if not text and family == "bedrock":
        text = host_url(upstream.region)
    if upstream.kind == MOCK_KIND and family != "openai":
        # The mock's own root: every family has its paths below it.
        root = text.removesuffix("/").removesuffix("/v1")
        text = f"{root}/v1beta" if family == "gemini" else root
    return URL(text.rstrip("/") + "/") if text else URL()


def fixed_headers(upstream: Upstream) -> Mapping[str, str]:
    """Return the headers by which a family knows who asks; bedrock signs each call instead."""
    key = upstream.api_key
    family = family_of(upstream)
    if family == "anthropic":
        # Claude's own clients send the version themselves; it is here for translated calls.
        return {"anthropic-version": ANTHROPIC_VERSION, **({"x-api-key": key} if key else {})}
    name = {"azure": "api-key", "gemini": "x-goog-api-key"}.get(family, "")
    if name and key:
        return {name: key}
    return {"Authorization": f"Bearer {key}"} if key and family == "openai" else {}
