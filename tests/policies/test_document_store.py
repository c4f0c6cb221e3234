"""Rows of a name and a document: listed, changed by version, and kept true to apex.yaml."""

from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from policies.document_store import (
    MODELS,
    PRICES,
    UPSTREAMS,
    delete_document,
    find_document,
    insert_document,
    list_documents,
    list_upstreams,
    read_documents,
    record_declared,
    replace_document,
)

DOCUMENT = {"document": {"kind": "openai"}}


async def test_rows_are_found_and_changed_by_version(sql_engine: AsyncEngine) -> None:
    async with sql_engine.begin() as connection:
        await insert_document(connection, UPSTREAMS, ("acme", "own"), DOCUMENT, 1.0)
        row = await find_document(connection, UPSTREAMS, ("acme", "own"))
        assert row is not None
        assert (row["managed_by"], row["version"], row["document"]) == (
            "api",
            1,
            DOCUMENT["document"],
        )
        assert await find_document(connection, UPSTREAMS, ("", "own")) is None
        changed = {"document": {"kind": "azure"}}
        assert await replace_document(connection, UPSTREAMS, row, changed, 2.0)
        assert not await replace_document(connection, UPSTREAMS, row, changed, 3.0)
        assert not await delete_document(connection, UPSTREAMS, row)
        newer = await find_document(connection, UPSTREAMS, ("acme", "own"))
        assert newer is not None
        assert newer["version"] == 2
        assert await delete_document(connection, UPSTREAMS, newer)


async def test_a_tenants_upstreams_are_its_own(sql_engine: AsyncEngine) -> None:
    async with sql_engine.begin() as connection:
        for place in (("", "a"), ("acme", "b"), ("acme", "c"), ("globex", "b")):
            await insert_document(connection, UPSTREAMS, place, DOCUMENT, 1.0)
        listed = [row["name"] for row in await list_upstreams(connection, "acme", "", 10)]
        behind = [row["name"] for row in await list_upstreams(connection, "acme", "b", 10)]
        shared = [row["name"] for row in await list_upstreams(connection, "", "", 10)]
    assert (listed, behind, shared) == (["b", "c"], ["c"], ["a"])


async def test_lists_go_on_behind_a_name_of_several_parts(sql_engine: AsyncEngine) -> None:
    values = {"document": {}, "citation": "a contract"}
    async with sql_engine.begin() as connection:
        for place in (("a", "y"), ("a", "x"), ("b", "a")):
            await insert_document(connection, PRICES, place, values, 1.0)
        found = await list_documents(connection, PRICES, ("a", "x"), 10)
        first = await list_documents(connection, PRICES, ("", ""), 1)
    assert [(row["upstream"], row["model"]) for row in found] == [("a", "y"), ("b", "a")]
    assert [row["model"] for row in first] == ["x"]


async def test_a_name_is_taken_once(sql_engine: AsyncEngine) -> None:
    async with sql_engine.connect() as connection:
        await insert_document(connection, MODELS, ("m",), DOCUMENT, 1.0)
        with pytest.raises(IntegrityError):
            await insert_document(connection, MODELS, ("m",), DOCUMENT, 1.0)


async def test_what_the_file_declares_is_recorded_and_forgotten_with_it(
    sql_engine: AsyncEngine,
) -> None:
    async with sql_engine.begin() as connection:
        await insert_document(connection, MODELS, ("taken",), DOCUMENT, 1.0)
        await insert_document(connection, MODELS, ("api",), DOCUMENT, 1.0)
        declared: dict[tuple[str, ...], Any] = {("file",): DOCUMENT, ("taken",): DOCUMENT}
        for _ in range(2):
            await record_declared(connection, MODELS, declared, 2.0)
        rows = {row["name"]: row for row in await read_documents(connection, MODELS)}
        assert {name: row["managed_by"] for name, row in rows.items()} == {
            "api": "api", "file": "file", "taken": "file",
        }  # fmt: skip
        assert rows["file"]["version"] == 1, "what says the same is not written again"
        await record_declared(connection, MODELS, {("file",): {"document": {"kind": "x"}}}, 3.0)
        rows = {row["name"]: row for row in await read_documents(connection, MODELS)}
    assert sorted(rows) == ["api", "file"]
    assert rows["file"]["version"] == 2
