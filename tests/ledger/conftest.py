"""The columnar engines for this folder's tests, and a ledger on each of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.columnar import Columnar
from tests.columnar_engines import columnar, columnar_server, columnar_url, embedded
from tests.ledger.samples import Ledger

__all__ = ["columnar", "columnar_server", "columnar_url", "embedded"]


@pytest.fixture
def ledger(tmp_path: Path, embedded: Columnar) -> Iterator[Ledger]:
    """On the embedded engine: for what does not depend on it."""
    made = Ledger(tmp_path / "home", embedded)
    yield made
    made.writer.close()


@pytest.fixture
def any_ledger(tmp_path: Path, columnar: Columnar) -> Iterator[Ledger]:
    """On each engine in turn."""
    made = Ledger(tmp_path / "home", columnar)
    yield made
    made.writer.close()
