"""The example of docs/people.md runs as it stands, and its table lists every route there is."""

import asyncio
import re
from pathlib import Path

import pytest

from admin_api.people.guard import AuthRoute
from admin_api.people.routes import AUTH_ROUTES, DEV_ROUTES
from tests.admin_api.conftest import Admin

DOCUMENT = (Path(__file__).parents[3] / "docs" / "people.md").read_text()


async def test_the_example_runs(admin: Admin) -> None:
    found = re.search(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)
    assert found is not None
    lines = [line for line in found[1].splitlines() if not line.startswith("python main.py")]
    script = "\n".join(lines).replace("A=http://127.0.0.1:8081", f"A={admin.url}")
    assert admin.url in script
    process = await asyncio.create_subprocess_exec(
        "bash", "-euo", "pipefail", "-c", script,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert b'"path":"/auth/login?invitation=apex_i_' in output
    assert b'"email":"ada@example.com"' in output


@pytest.mark.parametrize("route", [*AUTH_ROUTES, *DEV_ROUTES], ids=lambda route: route.path)
def test_every_route_is_in_the_table(route: AuthRoute) -> None:
    assert f"| `{route.method} {route.path}` |" in DOCUMENT
