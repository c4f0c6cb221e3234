"""The columnar engines for this folder's tests."""

from tests.columnar_engines import columnar, columnar_server, columnar_url, embedded

__all__ = ["columnar", "columnar_server", "columnar_url", "embedded"]
