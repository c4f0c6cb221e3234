"""What the API stored joins apex.yaml: the file wins, and what no longer fits is left out."""

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from config.operator import check_operator_config
from config.operator_model import OperatorConfig
from config.secrets import KeyRing
from config.yaml_loading import parse_yaml
from policies.credential_store import insert_credential
from policies.document_store import MODELS, PRICES, UPSTREAMS, insert_document, read_documents
from policies.snapshot import Credential
from policies.stored_catalogue import join, read_stored, record_operator

RING = KeyRing(b"m" * 32)
FILE = """
upstreams:
  openai: {kind: openai, api_key: sk-of-the-file}
  mock: {kind: mock}
default_upstream: openai
models:
  house:
    upstreams: [{upstream: openai, model: gpt-4o}]
    price: {input_per_million_usd: 1, output_per_million_usd: 2, citation: a contract}
"""


def operator() -> OperatorConfig:
    return check_operator_config(parse_yaml(FILE, "apex.yaml"), {})


async def put(connection: AsyncConnection, where: Any, place: tuple[str, ...], **row: Any) -> None:
    await insert_document(connection, where, place, row, 1.0)


async def keep(
    connection: AsyncConnection, tenant: str, name: str, secret: str, **row: str
) -> None:
    place = {"provider": "openai", "host": "eu.api.openai.com", **row}
    await insert_credential(
        connection, {"tenant": tenant, "name": name, **place}, secret, RING, 1.0
    )


EU = {"kind": "openai", "base_url": "https://eu.api.openai.com/v1"}


async def test_upstreams_get_the_credential_for_their_host(sql_engine: AsyncEngine) -> None:
    async with sql_engine.begin() as connection:
        await put(connection, UPSTREAMS, ("", "eu"), document=EU)
        await put(connection, UPSTREAMS, ("", "us"), document={"kind": "openai"})
        await put(connection, UPSTREAMS, ("acme", "own"), document={**EU, "models": {"m": "x"}})
        await put(connection, UPSTREAMS, ("globex", "own"), document={**EU, "models": {"m": "y"}})
        await keep(connection, "", "house", "sk-of-the-operator")
        await keep(connection, "acme", "main", "sk-of-acme-itself")
        stored = await read_stored(connection, RING)
    assert {name: each.api_key for name, each in stored.upstreams.items()} == {
        "eu": "sk-of-the-operator", "us": None,
    }  # fmt: skip
    own = {each.upstream.name: each.upstream.api_key for each in stored.own_upstreams}
    assert own == {"acme/own": "sk-of-acme-itself", "globex/own": ""}, "never another's key"
    assert stored.credentials == (
        Credential("acme", "openai", "eu.api.openai.com", "sk-of-acme-itself"),
    )
    assert "sk-of" not in repr(stored)


async def test_several_credentials_are_told_apart_by_name(sql_engine: AsyncEngine) -> None:
    async with sql_engine.begin() as connection:
        await keep(connection, "", "one", "sk-number-one")
        await keep(connection, "", "two", "sk-number-two")
        await put(connection, UPSTREAMS, ("", "first"), document={**EU, "credential": "one"})
        await put(connection, UPSTREAMS, ("", "second"), document={**EU, "credential": "two"})
        await put(connection, UPSTREAMS, ("", "either"), document=EU)
        await put(connection, UPSTREAMS, ("", "gone"), document={**EU, "credential": "three"})
        stored = await read_stored(connection, RING)
    assert {name: each.api_key for name, each in stored.upstreams.items()} == {
        "first": "sk-number-one", "second": "sk-number-two", "either": None, "gone": None,
    }  # fmt: skip


async def test_the_file_wins_and_is_shown(sql_engine: AsyncEngine) -> None:
    async with sql_engine.begin() as connection:
        await put(connection, UPSTREAMS, ("", "openai"), document=EU)
        await record_operator(connection, operator(), 2.0)
        await put(connection, MODELS, ("extra",), document={"upstreams": [{"upstream": "openai"}]})
        stored = await read_stored(connection, RING)
        upstreams = await read_documents(connection, UPSTREAMS)
        prices = await read_documents(connection, PRICES)
    joined = join(operator(), stored)
    assert joined.upstreams["openai"].api_key == "sk-of-the-file"
    assert sorted(joined.models) == ["extra", "house"]
    assert {row["managed_by"] for row in upstreams} == {"file"}
    assert "sk-of-the-file" not in repr([row["document"] for row in upstreams])
    assert [(row["upstream"], row["model"], row["citation"]) for row in prices] == [
        ("openai", "gpt-4o", "a contract")
    ]
    assert stored.prices == {}, "the file's own are not taken twice"


async def test_what_no_longer_fits_is_left_out(
    sql_engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async with sql_engine.begin() as connection:
        private = {"kind": "openai", "base_url": "https://10.0.0.1/v1"}
        await put(connection, UPSTREAMS, ("", "inside"), document=private)
        await put(connection, UPSTREAMS, ("acme", "odd"), document={"kind": "openai", "new": 1})
        await put(connection, UPSTREAMS, ("", "eu"), document=EU)
        some = {"upstreams": [{"upstream": "inside"}, {"upstream": "eu"}]}
        await put(connection, MODELS, ("some",), document=some)
        await put(connection, MODELS, ("none",), document={"upstreams": [{"upstream": "inside"}]})
        await put(connection, MODELS, ("odd",), document={})
        price = {"input_per_million_usd": "1", "output_per_million_usd": "-2"}
        await put(connection, PRICES, ("eu", "m"), document=price, citation="a contract")
        stored = await read_stored(connection, RING)
    joined = join(operator(), stored)
    assert sorted(joined.upstreams) == ["eu", "mock", "openai"]
    assert [each.upstream for each in joined.models["some"].upstreams] == ["eu"]
    assert sorted(joined.models) == ["house", "some"]
    assert (stored.own_upstreams, stored.prices) == ((), {})
    assert "inside" in caplog.text


async def test_prices_of_the_api_are_read_with_their_source(sql_engine: AsyncEngine) -> None:
    price = {"input_per_million_usd": "2.5", "output_per_million_usd": "10"}
    async with sql_engine.begin() as connection:
        await put(connection, PRICES, ("eu", "m"), document=price, citation="a contract")
        stored = await read_stored(connection, RING)
    [(place, found)] = stored.prices.items()
    assert (place, str(found.input_per_million_usd)) == (("eu", "m"), "2.5")
    assert found.citation == "a contract"
