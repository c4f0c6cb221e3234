"""Second revision: projects, people, credentials, records.

It only adds, and gives every added column a default, so that the version before runs beside it.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "r0002"
down_revision = "r0001"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
Tables = Mapping[str, tuple[Any, ...]]


def upgrade() -> None:
    for name, columns in _added().items():
        for column in columns:
            op.add_column(name, column)
    for name, parts in _created().items():
        op.create_table(name, *parts)


def downgrade() -> None:
    for name in reversed(_created()):
        op.drop_table(name)
    for name, columns in _added().items():
        with op.batch_alter_table(name) as batch:
            for column in columns:
                batch.drop_column(column.name)


def _created() -> dict[str, tuple[Any, ...]]:
    return {**_people(), **_sessions(), **_owned(), **_secrets(), **_records()}


def _added() -> Tables:
    return {
        "tenants": (
            sa.Column("display_name", sa.String(200), nullable=False, server_default=""),
            sa.Column("tier", sa.String(32), nullable=False, server_default="free"),
            sa.Column("time_zone", sa.String(64), nullable=False, server_default="UTC"),
            sa.Column("currency", sa.String(3), nullable=False, server_default="USD"),
            sa.Column("contract", sa.JSON),
            sa.Column("limits", sa.JSON),
            sa.Column("managed_by", sa.String(8), nullable=False, server_default="file"),
            sa.Column("version", sa.Integer, nullable=False, server_default="1"),
            sa.Column("updated_at", MOMENT),
            sa.Column("archived_at", MOMENT),
        ),
        "api_keys": (
            sa.Column("project", sa.String(64), nullable=False, server_default=""),
            sa.Column("tags", sa.JSON),
            sa.Column("endpoints", sa.JSON),
            sa.Column("models", sa.JSON),
            sa.Column("limits", sa.JSON),
            sa.Column("output_tokens_cap", sa.Integer),
            sa.Column("replaces", sa.String(64)),
            sa.Column("revoked_at", MOMENT),
            sa.Column("last_used_at", MOMENT),
            sa.Column("managed_by", sa.String(8), nullable=False, server_default="file"),
            sa.Column("version", sa.Integer, nullable=False, server_default="1"),
            sa.Column("updated_at", MOMENT),
            sa.Column("archived_at", MOMENT),
        ),
    }


def _people() -> Tables:
    """Users, and how they come in."""
    return {
        "users": (
            sa.Column("user_id", sa.String(64), primary_key=True),
            sa.Column("issuer", sa.String(255), nullable=False),
            sa.Column("subject", sa.String(255), nullable=False),
            sa.Column("email", sa.String(320), nullable=False),
            sa.Column("display_name", sa.String(200), nullable=False, server_default=""),
            sa.Column("totp_secret_sealed", sa.LargeBinary),
            sa.Column("totp_last_step", sa.BigInteger),
            sa.Column("created_at", MOMENT, nullable=False),
            sa.Column("last_login_at", MOMENT),
            sa.Column("disabled_at", MOMENT),
            sa.UniqueConstraint("issuer", "subject", name="users_identity"),
        ),
        "members": (
            sa.Column("tenant", sa.String(64), sa.ForeignKey("tenants.name"), primary_key=True),
            sa.Column("user_id", sa.String(64), sa.ForeignKey("users.user_id"), primary_key=True),
            sa.Column("role", sa.String(16), nullable=False),
            sa.Column("version", sa.Integer, nullable=False, server_default="1"),
            sa.Column("created_at", MOMENT, nullable=False),
        ),
        "invitations": (
            sa.Column("invitation_id", sa.String(64), primary_key=True),
            sa.Column(
                "tenant", sa.String(64), sa.ForeignKey("tenants.name"), nullable=False, index=True
            ),
            sa.Column("email", sa.String(320), nullable=False),
            sa.Column("role", sa.String(16), nullable=False),
            sa.Column("token_hash", sa.String(128), nullable=False, unique=True),
            sa.Column("invited_by", sa.String(128), nullable=False),
            sa.Column("created_at", MOMENT, nullable=False),
            sa.Column("expires_at", MOMENT, nullable=False),
            sa.Column("accepted_at", MOMENT),
            sa.Column("revoked_at", MOMENT),
        ),
        "logins": (
            sa.Column("state_hash", sa.String(128), primary_key=True),
            sa.Column("sealed", sa.LargeBinary, nullable=False),
            sa.Column("expires_at", MOMENT, nullable=False),
        ),
    }


def _sessions() -> Tables:
    """What a login leaves behind."""
    return {
        "sessions": (
            sa.Column("session_hash", sa.String(128), primary_key=True),
            sa.Column(
                "user_id", sa.String(64), sa.ForeignKey("users.user_id"), nullable=False, index=True
            ),
            sa.Column("csrf_hash", sa.String(128), nullable=False),
            sa.Column("has_second_factor", sa.Boolean, nullable=False),
            sa.Column("created_at", MOMENT, nullable=False),
            sa.Column("seen_at", MOMENT, nullable=False),
            sa.Column("expires_at", MOMENT, nullable=False),
            sa.Column("revoked_at", MOMENT),
        ),
        "refresh_tokens": (
            sa.Column("token_hash", sa.String(128), primary_key=True),
            sa.Column("family", sa.String(64), nullable=False, index=True),
            sa.Column(
                "user_id", sa.String(64), sa.ForeignKey("users.user_id"), nullable=False, index=True
            ),
            sa.Column("tenant", sa.String(64), nullable=False),
            sa.Column("created_at", MOMENT, nullable=False),
            sa.Column("expires_at", MOMENT, nullable=False),
            sa.Column("used_at", MOMENT),
            sa.Column("revoked_at", MOMENT),
        ),
        "signing_keys": (
            sa.Column("key_id", sa.String(64), primary_key=True),
            sa.Column("purpose", sa.String(16), nullable=False),
            sa.Column("public_key", sa.Text, nullable=False),
            sa.Column("private_key_sealed", sa.LargeBinary, nullable=False),
            sa.Column("created_at", MOMENT, nullable=False),
            sa.Column("retired_at", MOMENT),
        ),
    }


def _owned() -> Tables:
    """What tenants and the operator declare through the admin API."""
    return {
        "projects": (
            sa.Column("tenant", sa.String(64), sa.ForeignKey("tenants.name"), primary_key=True),
            sa.Column("name", sa.String(64), primary_key=True),
            sa.Column("created_at", MOMENT, nullable=False),
            sa.Column("display_name", sa.String(200), nullable=False, server_default=""),
            sa.Column("tags", sa.JSON),
            sa.Column("limits", sa.JSON),
            sa.Column("managed_by", sa.String(8), nullable=False, server_default="file"),
            sa.Column("version", sa.Integer, nullable=False, server_default="1"),
            sa.Column("updated_at", MOMENT),
            sa.Column("archived_at", MOMENT),
        ),
        "upstreams": (
            sa.Column("tenant", sa.String(64), primary_key=True),
            sa.Column("name", sa.String(64), primary_key=True),
            sa.Column("document", sa.JSON, nullable=False),
            sa.Column("created_at", MOMENT, nullable=False),
            sa.Column("managed_by", sa.String(8), nullable=False, server_default="file"),
            sa.Column("version", sa.Integer, nullable=False, server_default="1"),
            sa.Column("updated_at", MOMENT),
            sa.Column("archived_at", MOMENT),
        ),
        "models": (
            sa.Column("name", sa.String(200), primary_key=True),
            sa.Column("document", sa.JSON, nullable=False),
            sa.Column("created_at", MOMENT, nullable=False),
            sa.Column("managed_by", sa.String(8), nullable=False, server_default="file"),
            sa.Column("version", sa.Integer, nullable=False, server_default="1"),
            sa.Column("updated_at", MOMENT),
            sa.Column("archived_at", MOMENT),
        ),
        "price_overrides": (
            sa.Column("upstream", sa.String(64), primary_key=True),
            sa.Column("model", sa.String(200), primary_key=True),
            sa.Column("document", sa.JSON, nullable=False),
            sa.Column("citation", sa.Text, nullable=False),
            sa.Column("created_at", MOMENT, nullable=False),
            sa.Column("managed_by", sa.String(8), nullable=False, server_default="file"),
            sa.Column("version", sa.Integer, nullable=False, server_default="1"),
            sa.Column("updated_at", MOMENT),
            sa.Column("archived_at", MOMENT),
        ),
    }


def _secrets() -> Tables:
    """Credentials, each sealed under its tenant's own data key."""
    return {
        "tenant_keys": (
            sa.Column("tenant", sa.String(64), primary_key=True),
            sa.Column("data_key_id", sa.String(64), primary_key=True),
            sa.Column("master_key_id", sa.String(32), nullable=False),
            sa.Column("sealed", sa.LargeBinary, nullable=False),
            sa.Column("created_at", MOMENT, nullable=False),
            sa.Column("retired_at", MOMENT),
        ),
        "credentials": (
            sa.Column("tenant", sa.String(64), primary_key=True),
            sa.Column("name", sa.String(64), primary_key=True),
            sa.Column("provider", sa.String(64), nullable=False),
            sa.Column("host", sa.String(255), nullable=False),
            sa.Column("data_key_id", sa.String(64), nullable=False),
            sa.Column("sealed", sa.LargeBinary, nullable=False),
            sa.Column("last4", sa.String(4), nullable=False),
            sa.Column("created_at", MOMENT, nullable=False),
            sa.Column("rotated_at", MOMENT),
            sa.Column("managed_by", sa.String(8), nullable=False, server_default="file"),
            sa.Column("version", sa.Integer, nullable=False, server_default="1"),
            sa.Column("updated_at", MOMENT),
            sa.Column("archived_at", MOMENT),
        ),
    }


def _records() -> Tables:
    """What happened, and what was answered."""
    return {
        "audit_log": (
            sa.Column("chain", sa.String(64), primary_key=True),
            sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("at", MOMENT, nullable=False),
            sa.Column("actor", sa.String(128), nullable=False),
            sa.Column("action", sa.String(64), nullable=False),
            sa.Column("subject", sa.String(300), nullable=False),
            sa.Column("before_hash", sa.String(128), nullable=False),
            sa.Column("after_hash", sa.String(128), nullable=False),
            sa.Column("why", sa.Text, nullable=False),
            sa.Column("previous_hash", sa.String(128), nullable=False),
            sa.Column("hash", sa.String(128), nullable=False),
        ),
        "idempotent_calls": (
            sa.Column("caller", sa.String(128), primary_key=True),
            sa.Column("idempotency_key", sa.String(255), primary_key=True),
            sa.Column("request_hash", sa.String(128), nullable=False),
            sa.Column("status", sa.Integer),
            sa.Column("answer_sealed", sa.LargeBinary),
            sa.Column("created_at", MOMENT, nullable=False),
        ),
    }
