"""The columnar and the SQL engines for this folder's tests."""

from tests.columnar_engines import columnar, columnar_server, columnar_url, embedded
from tests.sql_engines import migrated_url, postgresql, sql_engine, sql_url

__all__ = [
    "columnar",
    "columnar_server",
    "columnar_url",
    "embedded",
    "migrated_url",
    "postgresql",
    "sql_engine",
    "sql_url",
]
