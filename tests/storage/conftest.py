"""The columnar and KV engines for this folder's tests."""

from tests.columnar_engines import columnar, columnar_server, columnar_url, embedded
from tests.kv_engines import kv, kv_server, redis_cluster, redis_server

__all__ = [
    "columnar", "columnar_server", "columnar_url", "embedded", "kv", "kv_server", "redis_cluster",
    "redis_server",
]  # fmt: skip
