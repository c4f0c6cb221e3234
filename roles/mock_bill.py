"""Reads the mock provider's bill from its file, for the conservation check; no mock need run."""

from pathlib import Path
from typing import Any

import orjson


def read_mock_bill(path: Path) -> list[dict[str, Any]] | None:
    """The lines of the bill, None where there is none; a line being written is left out."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    whole = data[: data.rfind(b"\n") + 1]
    return [orjson.loads(line) for line in whole.splitlines()]
