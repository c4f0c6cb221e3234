"""The tables as past versions name them in their queries: those versions still run beside this one.

A copy, frozen when a revision follows it. tests/storage/test_expand_only.py works with them on the
newest schema.
"""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

AT = datetime(2026, 11, 1, tzinfo=UTC)

_r0001 = sa.MetaData()
_tenants = sa.Table(
    "tenants",
    _r0001,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
)
_api_keys = sa.Table(
    "api_keys",
    _r0001,
    sa.Column("key_id", sa.String(64), primary_key=True),
    sa.Column("tenant", sa.String(64), sa.ForeignKey("tenants.name"), nullable=False),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("secret_hmac", sa.String(128), nullable=False),
    sa.Column("pepper_id", sa.String(32), nullable=False),
    sa.Column("last4", sa.String(4), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True)),
    sa.Column("scopes", sa.JSON, nullable=False),
)
_kv_state = sa.Table(
    "kv_state",
    _r0001,
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

# revision -> (table, a row as that version wrote it), parents first
PAST_ROWS: dict[str, list[tuple[sa.Table, dict[str, Any]]]] = {
    "r0001": [
        (_tenants, {"name": "acme", "created_at": AT}),
        (
            _api_keys,
            {
                "key_id": "one",
                "tenant": "acme",
                "name": "app",
                "secret_hmac": "aa",
                "pepper_id": "k1",
                "last4": "abcd",
                "created_at": AT,
                "expires_at": None,
                "scopes": ["inference"],
            },
        ),
        (_kv_state, {"name": "n", "value": "v"}),
    ],
}
