"""The documents of upstreams that the admin API makes: their form, and what makes one acceptable.

Used by the admin API before it stores one, and by policies.stored_catalogue, which reads them.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from config.base_urls import BaseUrlError, check_base_url
from config.errors import ConfigError, suggest
from config.operator_model import ModelName, UpstreamConfig
from config.provider_hosts import SPOKEN_HOSTS
from config.provider_kinds import (
    BASE_URL_EXAMPLES,
    KNOWN_KINDS,
    MOCK_KIND,
    NEEDS_BASE_URL,
    NEEDS_REGION,
    OPENAI_KIND,
)

OPENAI_BASE_URL = "https://api.openai.com/v1"
MOST_MODELS = 1000
SMALL_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


class StoredUpstream(BaseModel):
    """One provider account or server, without its key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str = Field(max_length=64, description="openai, or another kind of upstream.")
    base_url: str | None = Field(
        default=None, max_length=2048, description="Root of its API; left out: the kind's own."
    )
    allow_private: bool = Field(
        default=False, description="Operator's only: plain http, private addresses, no key."
    )
    # It becomes part of a host's name.
    region: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] | None = Field(
        default=None, description="Region, where prices or kinds depend on it."
    )
    api_version: Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{1,40}$")] | None = Field(
        default=None, description="Kind azure: the api-version of deployment paths."
    )
    stream_usage: bool = Field(
        default=True, description="The server accepts stream_options.include_usage."
    )
    credential: Annotated[str, Field(pattern=SMALL_NAME)] | None = Field(
        default=None,
        description="Name of the credential to send; left out: the only one for kind and host.",
    )
    models: dict[ModelName, ModelName] = Field(
        default_factory=dict,
        max_length=MOST_MODELS,
        description="A tenant's own upstream: public names and the upstream's own.",
    )

    def as_declared(self, secret: str) -> UpstreamConfig:
        """As apex.yaml would have declared it."""
        declared = UpstreamConfig(**self.model_dump(exclude={"credential", "models"}))
        # Copied in unchecked: a stored secret that begins with env: is no reference.
        return declared.model_copy(update={"api_key": secret or None})


def check_upstream(document: StoredUpstream, tenant: str) -> StoredUpstream:
    """The document with its base_url in one spelling; `tenant` "" is the operator. ConfigError."""
    _check_kind(document.kind, tenant)
    if tenant and document.allow_private:
        raise ConfigError(
            "allow_private is for the operator's upstreams",
            "a tenant's own upstream has a public address and https",
        )
    if not tenant and document.models:
        hint = "POST /admin/v1/models with this upstream among its upstreams"
        raise ConfigError("an upstream for all tenants lists no models", hint)
    base_url = document.base_url
    if base_url is None:
        base_url = OPENAI_BASE_URL if document.kind == OPENAI_KIND else None
    else:
        try:
            base_url = check_base_url(base_url, allows_private=document.allow_private)
        except BaseUrlError as error:
            hint = "a tenant's upstream is a public one" if tenant else error.hint
            raise ConfigError(f"base_url: {error.message}", hint) from None
    if base_url is None and document.kind in NEEDS_BASE_URL:
        example = BASE_URL_EXAMPLES.get(document.kind, "https://HOST/v1")
        raise ConfigError(f"kind {document.kind} needs a base_url", f"such as {example}")
    if document.kind in NEEDS_REGION and not document.region:
        raise ConfigError(f"kind {document.kind} needs a region", "such as us-east-1")
    if document.api_version and document.kind != "azure":
        raise ConfigError("api_version means nothing here", "only kind azure has one: leave it out")
    return document.model_copy(update={"base_url": base_url})


def _check_kind(kind: str, tenant: str) -> None:
    if kind == MOCK_KIND:
        raise ConfigError("the mock is declared in apex.yaml", "upstreams: {mock: {kind: mock}}")
    # What a library speaks to may read an address out of a model's name.
    known = tuple(SPOKEN_HOSTS) if tenant else KNOWN_KINDS
    if kind not in known:
        raise ConfigError(
            f"unknown kind {kind[:64]!r}",
            f"{suggest(kind[:64], known)} a server that speaks the OpenAI API is kind openai",
        )
