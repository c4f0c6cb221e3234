"""The fixture of this folder: one mock provider per test, its bill in the test's directory."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.proxy.providers.mock.server import MockServer, running_mock


@pytest.fixture
async def mock(tmp_path: Path) -> AsyncIterator[MockServer]:
    async with running_mock(tmp_path / "bill.jsonl") as server:
        yield server
