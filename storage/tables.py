"""The SQL tables as queries name them; storage/migrations makes them. Control process only.

Whatever a tenant owns has the tenant in its primary key or in a unique constraint, so that no
query can take it for another's. Moments are UTC; money is whole pico-USD inside JSON documents.
"""

from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData()
NAME, ID, HASH = sa.String(64), sa.String(64), sa.String(128)
BY_FILE, BY_API = "file", "api"  # who declares a row: apex.yaml, or whoever calls the admin API


def _moment(name: str, *, is_required: bool = True) -> "sa.Column[Any]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=not is_required)


def _documents(*names: str) -> list["sa.Column[Any]"]:
    """JSON documents, NULL in rows that are older than the column."""
    return [sa.Column(name, sa.JSON(none_as_null=True)) for name in names]


def _life() -> list["sa.Column[Any]"]:
    """Who declares a row, its version for If-Match, and its moments."""
    return [
        sa.Column("managed_by", sa.String(8), nullable=False, server_default=BY_FILE),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        _moment("updated_at", is_required=False),
        _moment("archived_at", is_required=False),
    ]


tenants = sa.Table(
    "tenants", metadata,
    sa.Column("name", NAME, primary_key=True),
    _moment("created_at"),
    sa.Column("display_name", sa.String(200), nullable=False, server_default=""),
    sa.Column("tier", sa.String(32), nullable=False, server_default="free"),
    sa.Column("time_zone", sa.String(64), nullable=False, server_default="UTC"),
    sa.Column("currency", sa.String(3), nullable=False, server_default="USD"),
    *_documents("contract", "limits"),
    *_life(),
)  # fmt: skip

projects = sa.Table(
    "projects", metadata,
    sa.Column("tenant", NAME, sa.ForeignKey("tenants.name"), primary_key=True),
    sa.Column("name", NAME, primary_key=True),
    _moment("created_at"),
    sa.Column("display_name", sa.String(200), nullable=False, server_default=""),
    *_documents("tags", "limits"),
    *_life(),
)  # fmt: skip

api_keys = sa.Table(
    "api_keys", metadata,
    sa.Column("key_id", ID, primary_key=True),
    sa.Column("tenant", NAME, sa.ForeignKey("tenants.name"), nullable=False),
    sa.Column("name", NAME, nullable=False),
    sa.Column("secret_hmac", HASH, nullable=False),  # hex
    sa.Column("pepper_id", sa.String(32), nullable=False),
    sa.Column("last4", sa.String(4), nullable=False),
    _moment("created_at"),
    _moment("expires_at", is_required=False),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("project", NAME, nullable=False, server_default=""),
    *_documents("tags", "endpoints", "models", "limits"),
    sa.Column("output_tokens_cap", sa.Integer),
    sa.Column("replaces", ID),  # the key it was rotated from, which lives on until it expires
    _moment("revoked_at", is_required=False),
    _moment("last_used_at", is_required=False),
    *_life(),
    sa.UniqueConstraint("tenant", "name", name="api_keys_name_per_tenant"),
)  # fmt: skip

kv_state = sa.Table(
    "kv_state", metadata,
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)  # fmt: skip

# --- people

users = sa.Table(
    "users", metadata,
    sa.Column("user_id", ID, primary_key=True),
    sa.Column("issuer", sa.String(255), nullable=False),
    sa.Column("subject", sa.String(255), nullable=False),  # identity is issuer and subject
    sa.Column("email", sa.String(320), nullable=False),
    sa.Column("display_name", sa.String(200), nullable=False, server_default=""),
    sa.Column("totp_secret_sealed", sa.LargeBinary),
    sa.Column("totp_last_step", sa.BigInteger),  # a code is good once
    _moment("created_at"),
    _moment("last_login_at", is_required=False),
    _moment("disabled_at", is_required=False),
    sa.UniqueConstraint("issuer", "subject", name="users_identity"),
)  # fmt: skip

members = sa.Table(
    "members", metadata,
    sa.Column("tenant", NAME, sa.ForeignKey("tenants.name"), primary_key=True),
    sa.Column("user_id", ID, sa.ForeignKey("users.user_id"), primary_key=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    _moment("created_at"),
)  # fmt: skip

invitations = sa.Table(
    "invitations", metadata,
    sa.Column("invitation_id", ID, primary_key=True),
    sa.Column("tenant", NAME, sa.ForeignKey("tenants.name"), nullable=False, index=True),
    sa.Column("email", sa.String(320), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("token_hash", HASH, nullable=False, unique=True),
    sa.Column("invited_by", sa.String(128), nullable=False),
    _moment("created_at"),
    _moment("expires_at"),
    _moment("accepted_at", is_required=False),
    _moment("revoked_at", is_required=False),
)  # fmt: skip

logins = sa.Table(  # code flows that were begun and not finished
    "logins", metadata,
    sa.Column("state_hash", HASH, primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),  # nonce, PKCE verifier, where to go after
    _moment("expires_at"),
)  # fmt: skip

sessions = sa.Table(
    "sessions", metadata,
    sa.Column("session_hash", HASH, primary_key=True),
    sa.Column("user_id", ID, sa.ForeignKey("users.user_id"), nullable=False, index=True),
    sa.Column("csrf_hash", HASH, nullable=False),
    sa.Column("has_second_factor", sa.Boolean, nullable=False),
    _moment("created_at"),
    _moment("seen_at"),
    _moment("expires_at"),
    _moment("revoked_at", is_required=False),
)  # fmt: skip

refresh_tokens = sa.Table(
    "refresh_tokens", metadata,
    sa.Column("token_hash", HASH, primary_key=True),
    sa.Column("family", ID, nullable=False, index=True),  # revoked whole when one is used twice
    sa.Column("user_id", ID, sa.ForeignKey("users.user_id"), nullable=False, index=True),
    sa.Column("tenant", NAME, nullable=False),
    _moment("created_at"),
    _moment("expires_at"),
    _moment("used_at", is_required=False),
    _moment("revoked_at", is_required=False),
)  # fmt: skip

signing_keys = sa.Table(
    "signing_keys", metadata,
    sa.Column("key_id", ID, primary_key=True),
    sa.Column("purpose", sa.String(16), nullable=False),  # tokens, snapshots
    sa.Column("public_key", sa.Text, nullable=False),  # PEM
    sa.Column("private_key_sealed", sa.LargeBinary, nullable=False),
    _moment("created_at"),
    _moment("retired_at", is_required=False),
)  # fmt: skip

# --- upstreams, their credentials, prices

upstreams = sa.Table(
    "upstreams", metadata,
    sa.Column("tenant", NAME, primary_key=True),  # "" for one that all tenants may use
    sa.Column("name", NAME, primary_key=True),
    sa.Column("document", sa.JSON, nullable=False),  # config.operator_model.UpstreamConfig, no key
    _moment("created_at"),
    *_life(),
)  # fmt: skip

models = sa.Table(
    "models", metadata,
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("document", sa.JSON, nullable=False),  # config.operator_model.ModelConfig
    _moment("created_at"),
    *_life(),
)  # fmt: skip

tenant_keys = sa.Table(  # data keys: one for each tenant, sealed under the master key
    "tenant_keys", metadata,
    sa.Column("tenant", NAME, primary_key=True),
    sa.Column("data_key_id", ID, primary_key=True),
    sa.Column("master_key_id", sa.String(32), nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    _moment("created_at"),
    _moment("retired_at", is_required=False),
)  # fmt: skip

credentials = sa.Table(
    "credentials", metadata,
    sa.Column("tenant", NAME, primary_key=True),  # "" for the operator's own
    sa.Column("name", NAME, primary_key=True),
    sa.Column("provider", sa.String(64), nullable=False),
    sa.Column("host", sa.String(255), nullable=False),  # the only one it is ever sent to
    sa.Column("data_key_id", ID, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("last4", sa.String(4), nullable=False),
    _moment("created_at"),
    _moment("rotated_at", is_required=False),
    *_life(),
)  # fmt: skip

price_overrides = sa.Table(
    "price_overrides", metadata,
    sa.Column("upstream", NAME, primary_key=True),
    sa.Column("model", sa.String(200), primary_key=True),
    sa.Column("document", sa.JSON, nullable=False),  # config.operator_model.PriceOverride
    sa.Column("citation", sa.Text, nullable=False),
    _moment("created_at"),
    *_life(),
)  # fmt: skip

# --- records

audit_log = sa.Table(
    "audit_log", metadata,
    sa.Column("chain", NAME, primary_key=True),  # the tenant, "" for what concerns all
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),  # 1, 2, 3, ...
    _moment("at"),
    sa.Column("actor", sa.String(128), nullable=False),
    sa.Column("action", sa.String(64), nullable=False),
    sa.Column("subject", sa.String(300), nullable=False),
    sa.Column("before_hash", HASH, nullable=False),
    sa.Column("after_hash", HASH, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("previous_hash", HASH, nullable=False),
    sa.Column("hash", HASH, nullable=False),
)  # fmt: skip

idempotent_calls = sa.Table(  # what a POST answered, for whoever repeats it with the same key
    "idempotent_calls", metadata,
    sa.Column("caller", sa.String(128), primary_key=True),
    sa.Column("idempotency_key", sa.String(255), primary_key=True),
    sa.Column("request_hash", HASH, nullable=False),
    sa.Column("status", sa.Integer),  # NULL while the first call is under way
    sa.Column("answer_sealed", sa.LargeBinary),
    _moment("created_at"),
)  # fmt: skip
