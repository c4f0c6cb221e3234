"""The identity section of apex.yaml: how people sign in to the admin API, and for how long.

A part of config.operator_model; admin_api.people reads it.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from config.secret_reference import Secret

IssuerName = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}$")]
# Asymmetric only: with a shared secret, whoever verifies could sign as well.
SigningAlgorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
]  # fmt: skip


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class IssuerConfig(_Declared):
    """An identity provider whose word about a person's name is taken."""

    issuer: str = Field(description="Its issuer URL, as its discovery document spells it.")
    client_id: str = Field(min_length=1, max_length=255, description="What it calls this gateway.")
    client_secret: Secret = Field(repr=False, description="Secret of that client, or env:NAME.")
    algorithms: tuple[SigningAlgorithm, ...] = Field(
        default=("RS256",), min_length=1, description="How it may sign: all others are refused."
    )


class IdentityConfig(_Declared):
    """Who people are, and for how long that holds."""

    public_url: str | None = Field(
        default=None,
        description="https://HOST of the admin port as browsers reach it; development: guessed.",
    )
    issuers: dict[IssuerName, IssuerConfig] = Field(
        default_factory=dict, description="Identity providers by name, such as google."
    )
    sign_up: Literal["open", "invited"] = Field(
        default="open", description="Whether a first login without an invitation makes a tenant."
    )
    email_domains: tuple[str, ...] = Field(
        default=(), description="Sign-up only for addresses of these domains; empty: any."
    )
    session_idle_s: int = Field(
        default=7200, ge=60, le=604_800, description="Seconds a session outlives its last use."
    )
    session_s: int = Field(
        default=43_200, ge=60, le=2_592_000, description="Seconds from a login to the next one."
    )
    access_token_s: int = Field(
        default=900, ge=1, le=900, description="Seconds an API token of a person is good for."
    )
    refresh_token_s: int = Field(
        default=2_592_000, ge=60, le=31_536_000, description="Seconds such tokens can be renewed."
    )
    signing_key_s: int = Field(
        default=2_592_000, ge=60, le=31_536_000, description="Seconds a signing key is used for."
    )
    attempts_per_minute: int = Field(
        default=60, ge=1, le=100_000, description="Calls of /auth routes from one address."
    )
