"""What goes into and out of the routes of API keys; used by admin_api/routes/keys.py."""

from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field

from admin_api.calls import Strict
from admin_api.resource_fields import NAME_PATTERN, Moment, Tags, shown_limits
from config.endpoints import check_endpoints
from config.limit_model import LimitsConfig
from policies.api_key_store import Row, name_of

LONGEST_NAME_CHARACTERS = 55  # a key that gives its name on gets its id behind it, of 64 in all
LONGEST_OVERLAP_S = 30 * 86_400
A_DAY_S = 86_400


def _check(names: tuple[str, ...]) -> tuple[str, ...]:
    check_endpoints(names)
    return names


Endpoints = Annotated[tuple[str, ...], AfterValidator(_check), Field(max_length=64)]
ModelGlob = Annotated[str, Field(pattern=r"^[!-~]{1,256}$")]


class KeyChange(Strict):
    """What of a key can be changed; what is left out stays."""

    project: str = Field(default="", max_length=64, description="Of the tenant; empty: none.")
    tags: Tags = Field(default_factory=dict)
    endpoints: Endpoints = Field(default=(), description="It may call; empty: all.")
    models: tuple[ModelGlob, ...] = Field(
        default=(), max_length=256, description="It may ask for; `*` stands for any text."
    )
    expires_at: AwareDatetime | None = Field(default=None, description="With its offset, as in Z.")
    output_tokens_cap: int | None = Field(
        default=None, ge=1, le=10_000_000,
        description="Output reserved for a request that names no maximum.",
    )  # fmt: skip
    limits: LimitsConfig | None = Field(default=None, description="Of this key alone.")


class NewKey(KeyChange):
    """A key to be made."""

    name: str = Field(
        pattern=NAME_PATTERN, max_length=LONGEST_NAME_CHARACTERS,
        description="In reports and policies; a rotation keeps it.",
    )  # fmt: skip


class Rotation(Strict):
    """How a key is replaced."""

    overlap_s: int = Field(
        default=A_DAY_S, ge=0, le=LONGEST_OVERLAP_S, description="The old one lives on, seconds."
    )
    expires_at: AwareDatetime | None = Field(
        default=None, description="Of the new one; as the old one's if left out."
    )


class Key(BaseModel):
    """A key as it is stored: its secret is not."""

    key_id: str
    tenant: str
    name: str
    project: str
    state: Literal["active", "expired", "revoked"]
    tags: dict[str, str]
    endpoints: tuple[str, ...]
    models: tuple[str, ...]
    expires_at: Moment | None
    output_tokens_cap: int | None
    limits: LimitsConfig
    last4: str = Field(description="The end of its secret.")
    replaces: str | None = Field(description="Id of the key it was rotated from.")
    managed_by: Literal["file", "api"] = Field(description="file: apex.yaml, read-only here.")
    version: int
    created_at: Moment
    updated_at: Moment | None
    last_used_at: Moment | None
    revoked_at: Moment | None


class Issued(Key):
    """A new key with its secret, which is shown this once and stored nowhere."""

    secret: str = Field(repr=False)


def key_of(row: Row, now: float) -> Key:
    """What is shown of a stored key; `now` in Unix seconds."""
    names = [name for name in Key.model_fields if name != "state"]
    fields = {name: row[name] for name in names}
    fields |= {name: row[name] or () for name in ("endpoints", "models")}
    shown = {"name": name_of(row), "tags": row["tags"] or {}, "limits": shown_limits(row["limits"])}
    key = Key.model_validate({**fields, **shown, "state": "active"})
    if key.revoked_at is not None:
        return key.model_copy(update={"state": "revoked"})
    is_over = key.expires_at is not None and key.expires_at.timestamp() <= now
    return key.model_copy(update={"state": "expired"}) if is_over else key


class Revoked(BaseModel):
    """A revocation that is in force, and not in the SQL store yet, which is away."""

    key_id: str
    state: Literal["revoked"] = "revoked"
    detail: str = "every proxy refuses the key; the SQL store is told when it is back"
