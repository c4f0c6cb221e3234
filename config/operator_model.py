"""The shape of apex.yaml as frozen pydantic models; descriptions and defaults here are the docs.

Filled by config.operator, which also checks what one key says about another; the snapshot's
reader takes Timeouts, Limits and CacheConfig from here, so nothing here imports YAML.
"""

from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError

from config.endpoints import check_endpoints
from config.limit_model import LimitsConfig
from config.tier_model import TierConfig, TierName

REFERENCE = "env:"
MIN_SECRET_CHARACTERS = 32

MAX_PER_MILLION_USD = Decimal(10_000)
# The cheapest embeddings cost about 0.01 USD a million tokens, the dearest token 0.0006 USD.
MIN_PER_MILLION_USD = Decimal("0.001")


def _fail(message: str, hint: str) -> PydanticCustomError:
    # The text goes in as a value: pydantic reads braces in a template as placeholders.
    return PydanticCustomError("apex", "{text}", {"text": message, "hint": hint})


def _resolve_secret(value: str, info: ValidationInfo) -> str:
    """The secret itself, or that of the variable `env:NAME` names; fit for an HTTP header."""
    source = "the value"
    if value.startswith(REFERENCE):
        name = value.removeprefix(REFERENCE)
        source = f"the environment variable {name}"
        value = (info.context or {}).get("environ", {}).get(name, "").strip()
        if not value:
            raise _fail(f"{source} is not set", f"export {name}=... before starting the gateway")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise _fail(
            f"{source} holds a blank, a line break or a non-ASCII character",
            "a key is one word of plain ASCII: check for quotes or text pasted along with it",
        )
    return value


def _check_key_secret(value: str) -> str:
    if len(value) < MIN_SECRET_CHARACTERS:
        raise _fail(
            f"the secret has {len(value)} characters, at least {MIN_SECRET_CHARACTERS} are needed",
            "make one with: openssl rand -hex 32; or leave the secret out to have a key generated",
        )
    return value


def _check_price(value: Decimal) -> Decimal:
    if not 0 <= value <= MAX_PER_MILLION_USD:
        raise _fail(
            f"a price per million tokens lies between 0 and {MAX_PER_MILLION_USD} USD",
            "write USD per million tokens, such as 2.5",
        )
    if 0 < value < MIN_PER_MILLION_USD:
        raise _fail(
            f"{value:f} USD per million tokens looks like a price per token",
            f"multiply by 1,000,000: write {(value * 1_000_000).normalize():f}",
        )
    if value != round(value, 6):
        raise _fail(
            "a price has at most 6 decimals: costs are whole pico-USD per token",
            f"write {round(value, 6):f}",
        )
    return value


def _check_time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _fail(f"{value!r} is no IANA time zone", "write it as in Europe/Berlin") from None
    return value


def _check_endpoint(value: str) -> str:
    check_endpoints((value,))
    return value


def _expand_target(value: Any) -> Any:
    return {"upstream": value} if isinstance(value, str) else value


Secret = Annotated[str, AfterValidator(_resolve_secret)]
KeySecret = Annotated[Secret, AfterValidator(_check_key_secret)]
PerMillionUsd = Annotated[Decimal, AfterValidator(_check_price)]
UpstreamName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Endpoint = Annotated[str, AfterValidator(_check_endpoint)]
TimeZone = Annotated[str, Field(max_length=64), AfterValidator(_check_time_zone)]
ModelName = Annotated[str, Field(pattern=r"^[!-~]{1,256}$")]
DeclaredName = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}$")]
# Asymmetric only: with a shared secret, whoever verifies could sign as well.
SigningAlgorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
]  # fmt: skip


class _Declared(BaseModel):
    # Input stays out of pydantic's own error texts as well: it may be a secret.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class PriceOverride(_Declared):
    """What a model costs here, in USD per million tokens; wins over the shipped price book."""

    input_per_million_usd: PerMillionUsd = Field(description="Price of uncached input.")
    output_per_million_usd: PerMillionUsd = Field(description="Price of output.")
    cache_read_per_million_usd: PerMillionUsd | None = Field(
        default=None,
        description="Price of input the provider read from its cache; as input if left out.",
    )
    cache_write_per_million_usd: PerMillionUsd | None = Field(
        default=None,
        description="Price of input the provider wrote to its cache; as input if left out.",
    )
    citation: str | None = Field(
        default=None,
        description="Where the price is from: a contract, a page and its date; disputed without.",
    )


class UpstreamConfig(_Declared):
    """One provider account or server."""

    kind: str = Field(
        description="openai (any server that speaks it), mock, or a litellm provider name."
    )
    base_url: str | None = Field(
        default=None,
        description="Root of its API; kind openai: https://api.openai.com/v1 if left out.",
    )
    api_key: Secret | None = Field(
        default=None,
        repr=False,
        description="Credential, or env:NAME to read it from the environment.",
    )
    allow_private: bool = Field(
        default=False,
        description="Allow plain http, private addresses and no api_key for this one.",
    )
    region: str | None = Field(
        default=None, description="Region, where prices or kinds depend on it."
    )
    api_version: Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{1,40}$")] | None = Field(
        default=None,
        description="Kind azure: the api-version of deployment paths; left out: the v1 API.",
    )
    plays: Literal["openai", "azure", "anthropic", "gemini", "bedrock"] = Field(
        default="openai", description="Kind mock: the provider whose API it speaks."
    )
    stream_usage: bool = Field(
        default=True,
        description="The server accepts stream_options.include_usage; false: never asked.",
    )


class ModelTarget(_Declared):
    """One way to serve a public model; a bare upstream name when nothing else differs."""

    upstream: str = Field(description="Name under upstreams.")
    model: ModelName | None = Field(
        default=None,
        description="The upstream's own name of the model; the public name if left out.",
    )
    price: PriceOverride | None = Field(
        default=None, description="Price of this model on this upstream."
    )


class ModelConfig(_Declared):
    """A public model name and who serves it."""

    upstreams: tuple[Annotated[ModelTarget, BeforeValidator(_expand_target)], ...] = Field(
        min_length=1, description="Upstreams in order of preference: a name, or a mapping."
    )
    price: PriceOverride | None = Field(
        default=None, description="Price on every upstream above that declares none itself."
    )


class KeyConfig(_Declared):
    """An API key of a tenant."""

    name: DeclaredName = Field(description="Name of the key in reports and policy rules.")
    secret: KeySecret | None = Field(
        default=None,
        repr=False,
        description="At least 32 characters, or env:NAME; generated and printed once if left out.",
    )
    tags: dict[str, str] = Field(
        default_factory=dict, description="Labels recorded with every request of this key."
    )
    project: DeclaredName | None = Field(
        default=None, description="Project of the tenant whose tags and limits it shares."
    )
    endpoints: tuple[Endpoint, ...] = Field(
        default=(), description="What it may call, such as chat or embeddings; empty: all."
    )
    models: tuple[ModelName, ...] = Field(
        default=(), description="Models it may ask for, `*` for any text; empty: all."
    )
    expires_at: AwareDatetime | None = Field(
        default=None, description="When it ends, with its offset: 2027-01-31T00:00:00Z."
    )
    output_tokens_cap: int | None = Field(
        default=None, ge=1, description="Output reserved for a request that names no maximum."
    )
    limits: LimitsConfig | None = Field(default=None, description="What this key may use.")


class ProjectConfig(_Declared):
    """What several keys of a tenant share."""

    tags: dict[str, str] = Field(
        default_factory=dict, description="Labels recorded with every request of its keys."
    )
    limits: LimitsConfig | None = Field(default=None, description="What its keys may use together.")


class TenantConfig(_Declared):
    """One customer, team or application; tenants share nothing."""

    tier: TierName = Field(default="free", description="free, early, mid or enterprise.")
    time_zone: TimeZone = Field(
        default="UTC", description="IANA name: where its days, weeks and months begin."
    )
    limits: LimitsConfig | None = Field(default=None, description="What all its keys may use.")
    projects: dict[DeclaredName, ProjectConfig] = Field(
        default_factory=dict, description="Its projects by name."
    )

    keys: tuple[KeyConfig, ...] = Field(min_length=1, description="Its API keys.")
    policy: str | dict[str, Any] = Field(
        default="balanced",
        description="passthrough, balanced, cheapest, or a policy written out here.",
    )


class Timeouts(_Declared):
    """Limits on waiting for an upstream, in seconds."""

    connect_s: float = Field(default=5, gt=0, le=300, description="Seconds to open a connection.")
    first_token_s: float = Field(
        default=60,
        gt=0,
        le=3600,
        description="Seconds from the request to the answer's first byte.",
    )
    idle_s: float = Field(
        default=60, gt=0, le=3600, description="Seconds between two parts of an answer."
    )
    total_s: float = Field(
        default=600, gt=0, le=86_400, description="Seconds for a request with all its attempts."
    )
    stream_headers_s: float = Field(
        default=15,
        gt=0,
        le=600,
        description="Seconds a stream's headers wait for the upstream, keeping failover unseen.",
    )


class Limits(_Declared):
    """Bounds of one proxy process."""

    max_body_bytes: int = Field(
        default=52_428_800, ge=1024, le=1_073_741_824, description="Largest request body, in bytes."
    )
    max_concurrent_requests: int = Field(
        default=2000, ge=1, le=1_000_000, description="Requests open at once in a process."
    )
    max_concurrent_per_key: int = Field(
        default=1000, ge=1, le=1_000_000, description="Of these, requests of one key."
    )
    fallback_price: PriceOverride | None = Field(
        default=None,
        description="What hard budgets reserve where no price is known; left out: they refuse.",
    )
    drain_s: float = Field(
        default=30, ge=0, le=3600, description="Seconds open requests may take to end at a stop."
    )


class CacheConfig(_Declared):
    """The exact cache of one proxy process, and waiting for another's identical request."""

    max_bytes: int = Field(
        default=33_554_432, ge=0, le=1_099_511_627_776, description="Bytes held; 0 turns it off."
    )
    max_entry_bytes: int = Field(
        default=4_194_304, ge=0, le=1_073_741_824, description="Largest answer kept, in bytes."
    )
    coalesce_wait_s: float = Field(
        default=30, ge=0, le=600, description="Seconds to wait for an identical request; 0: never."
    )


class EstimatesConfig(_Declared):
    """What is kept of attempts whose provider reported no usage, to estimate their tokens."""

    enabled: bool = Field(
        default=True,
        description="Seal prompt and answer on disk until their tokens are counted, seconds later.",
    )


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
    issuers: dict[DeclaredName, IssuerConfig] = Field(
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


class OperatorConfig(_Declared):
    """All of apex.yaml."""

    upstreams: dict[UpstreamName, UpstreamConfig] = Field(
        default_factory=dict,
        description="Providers and servers by name; the built-in one if left out.",
    )
    default_upstream: str | None = Field(
        default=None,
        description="Upstream of every model not under models; left out: those are refused.",
    )
    models: dict[ModelName, ModelConfig] = Field(
        default_factory=dict, description="Public model names and who serves them."
    )
    tenants: dict[DeclaredName, TenantConfig] = Field(
        default_factory=dict,
        description="Who may call; none declared: development makes a demo tenant.",
    )
    tiers: dict[TierName, TierConfig] = Field(
        default_factory=dict, description="What tenants are sold by; left out: the shipped tiers."
    )
    timeouts: Timeouts = Field(default_factory=Timeouts, description="Waiting for upstreams.")
    limits: Limits = Field(default_factory=Limits, description="Bounds of one proxy process.")
    cache: CacheConfig = Field(default_factory=CacheConfig, description="The exact cache.")
    estimates: EstimatesConfig = Field(
        default_factory=EstimatesConfig, description="Token estimates where usage is unknown."
    )
    identity: IdentityConfig = Field(
        default_factory=IdentityConfig, description="How people sign in to the admin API."
    )

    @model_validator(mode="before")
    @classmethod
    def _accept_empty_sections(cls, data: Any) -> Any:
        # `tenants:` with everything under it commented out is null to YAML.
        if not isinstance(data, dict):
            return {} if data is None else data
        return {key: value for key, value in data.items() if value is not None}
