"""What the admin API stored of upstreams, models, prices and credentials, joined with apex.yaml.

Called by the snapshot builder. What apex.yaml declares wins; a stored row that no longer fits is
left out with a warning: one of them must not keep a whole snapshot from being built.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from config.errors import ConfigError
from config.operator_model import ModelConfig, OperatorConfig, PriceOverride, UpstreamConfig
from config.provider_hosts import host_of
from config.provider_kinds import MOCK_KIND
from config.secrets import KeyRing
from policies.catalogue import Place, declared_prices
from policies.credential_store import OpenCredential, open_credentials
from policies.document_store import (
    MODELS,
    PRICES,
    UPSTREAMS,
    DocumentTable,
    Row,
    read_documents,
    record_declared,
)
from policies.snapshot import Credential, OwnUpstream, Upstream
from policies.upstream_documents import StoredUpstream, check_upstream
from storage.tables import BY_API

Declared = dict[tuple[str, ...], dict[str, Any]]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredCatalogue:
    """Everything stored, checked; `upstreams` are those for all tenants."""

    upstreams: Mapping[str, UpstreamConfig] = field(repr=False)
    models: Mapping[str, ModelConfig]
    prices: Mapping[Place, PriceOverride]
    credentials: tuple[Credential, ...] = field(repr=False)
    own_upstreams: tuple[OwnUpstream, ...] = field(repr=False)


async def record_operator(
    connection: AsyncConnection, operator: OperatorConfig, now: float
) -> None:
    """Show in SQL what apex.yaml declares, without keys, so that the admin API lists it too."""
    upstreams: Declared = {
        ("", name): {"document": _shown(each)} for name, each in operator.upstreams.items()
    }
    models: Declared = {
        (name,): {"document": each.model_dump(mode="json")}
        for name, each in operator.models.items()
    }
    prices: Declared = {
        place: {"document": price.model_dump(mode="json"), "citation": price.citation or ""}
        for _, place, price in declared_prices(operator)
    }
    await record_declared(connection, UPSTREAMS, upstreams, now)
    await record_declared(connection, MODELS, models, now)
    await record_declared(connection, PRICES, prices, now)


def _shown(declared: UpstreamConfig) -> dict[str, Any]:
    """Without its key; where the built-in mock listens differs from start to start."""
    document = declared.model_dump(mode="json", exclude={"api_key"})
    return {**document, "base_url": None} if declared.kind == MOCK_KIND else document


async def read_stored(connection: AsyncConnection, key_ring: KeyRing) -> StoredCatalogue:
    """What the admin API stored. Keys that cannot be opened are "": their calls are refused."""
    secrets = await open_credentials(connection, key_ring)
    upstreams: dict[str, UpstreamConfig] = {}
    own: list[OwnUpstream] = []
    for row in await _read(connection, UPSTREAMS):
        document = _checked_upstream(row)
        if document is None:
            continue
        secret = pick_secret(document, row["tenant"], secrets)
        if row["tenant"]:
            own.append(_own_upstream(row, document, secret))
        else:
            upstreams[row["name"]] = document.as_declared(secret)
    return StoredCatalogue(
        upstreams=upstreams,
        models=await _read_models(connection),
        prices=await _read_prices(connection),
        credentials=tuple(
            Credential(each.tenant, each.provider, each.host, each.secret)
            for each in secrets
            if each.tenant
        ),
        own_upstreams=tuple(own),
    )


def join(operator: OperatorConfig, stored: StoredCatalogue) -> OperatorConfig:
    """apex.yaml with what is stored beside it; models keep the targets that still exist."""
    upstreams = {**stored.upstreams, **operator.upstreams}
    models: dict[str, ModelConfig] = {}
    for name, model in stored.models.items():
        targets = tuple(each for each in model.upstreams if each.upstream in upstreams)
        if len(targets) < len(model.upstreams):
            _log.warning("model %s names an upstream that is gone", name)
        if targets:
            models[name] = model.model_copy(update={"upstreams": targets})
    joined = {"upstreams": upstreams, "models": {**models, **operator.models}}
    return operator.model_copy(update=joined)


def pick_secret(document: StoredUpstream, tenant: str, secrets: list[OpenCredential]) -> str:
    """The key for an upstream: of its owner, for this kind and host, and by name if it names one.

    "" when there is none, or several and no name.
    """
    host = host_of(document.kind, document.base_url, document.region)
    found = [
        each.secret
        for each in secrets
        if (each.tenant, each.provider, each.host) == (tenant, document.kind, host)
        and document.credential in (None, each.name)
    ]
    return found[0] if len(found) == 1 else ""


def _own_upstream(row: Row, document: StoredUpstream, secret: str) -> OwnUpstream:
    upstream = Upstream(
        name=f"{row['tenant']}/{row['name']}",
        kind=document.kind,
        base_url=document.base_url or "",
        api_key=secret,
        allow_private=False,
        region=document.region or "",
        stream_usage=document.stream_usage,
        is_simulated=False,
        api_version=document.api_version or "",
    )
    return OwnUpstream(row["tenant"], upstream, dict(document.models))


async def _read(connection: AsyncConnection, where: DocumentTable) -> list[Row]:
    rows = await read_documents(connection, where)
    return [row for row in rows if row["managed_by"] == BY_API and row["archived_at"] is None]


def _checked_upstream(row: Row) -> StoredUpstream | None:
    try:
        return check_upstream(StoredUpstream.model_validate(row["document"]), row["tenant"])
    except (ValidationError, ConfigError) as error:
        _leave_out("upstream", row["name"], error)
        return None


async def _read_models(connection: AsyncConnection) -> dict[str, ModelConfig]:
    models: dict[str, ModelConfig] = {}
    for row in await _read(connection, MODELS):
        try:
            model = ModelConfig.model_validate(row["document"])
            if model.price is not None or any(each.price is not None for each in model.upstreams):
                raise ConfigError("a stored model has no price of its own", "")
            models[row["name"]] = model
        except (ValidationError, ConfigError) as error:
            _leave_out("model", row["name"], error)
    return models


async def _read_prices(connection: AsyncConnection) -> dict[Place, PriceOverride]:
    prices: dict[Place, PriceOverride] = {}
    for row in await _read(connection, PRICES):
        try:
            prices[row["upstream"], row["model"]] = PriceOverride.model_validate(
                {**row["document"], "citation": row["citation"]}
            )
        except ValidationError as error:
            _leave_out("price", row["model"], error)
    return prices


def _leave_out(what: str, name: str, error: Any) -> None:
    kind = type(error).__name__
    _log.warning("the stored %s %s no longer fits and is left out (%s)", what, name, kind)
