"""The columnar, KV and SQL engines for this folder's tests."""

from tests.columnar_engines import columnar, columnar_server, columnar_url, embedded
from tests.kv_engines import kv, kv_server, redis_cluster, redis_server
from tests.sql_engines import migrated_url, postgresql, sql_engine, sql_url

__all__ = [
    "columnar", "columnar_server", "columnar_url", "embedded", "kv", "kv_server", "migrated_url",
    "postgresql", "redis_cluster", "redis_server", "sql_engine", "sql_url",
]  # fmt: skip
