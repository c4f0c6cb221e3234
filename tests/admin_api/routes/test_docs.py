"""The document that describes the API, and the page that shows it."""

import re

import aiohttp

from admin_api.app import RESOURCES
from admin_api.routes.docs import PAGES
from tests.admin_api.conftest import Admin


async def test_the_document_is_there_without_a_token(admin: Admin) -> None:
    status, document = await admin.ask("/admin/v1/openapi.json", headers={})
    assert (status, document["openapi"]) == (200, "3.1.0")
    described = sum(len(operations) for operations in document["paths"].values())
    assert described == len(RESOURCES)


async def test_the_page_loads_nothing_from_elsewhere(admin: Admin) -> None:
    async with aiohttp.ClientSession() as session:
        for name, kind in (("docs", "text/html"), ("docs.js", "text/javascript")):
            async with session.get(f"{admin.url}/admin/v1/{name}") as reply:
                assert (reply.status, reply.content_type) == (200, kind)
                policy = reply.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
    page = (PAGES / "docs.html").read_text()
    assert not re.search(r"<script>|style=|\son\w+=|https?://", page)
    linked = set(re.findall(r'(?:src|href)="([^"]+)"', page))
    assert linked == {"docs.css", "docs.js", "openapi.json"}
    script = (PAGES / "docs.js").read_text()
    assert "innerHTML" not in script
    assert not re.search(r"https?://", script)
