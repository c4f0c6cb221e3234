"""Which upstream a resource call goes to: its object's, its model's, or the default one (pure).

Called by relay.py. Only upstreams that speak OpenAI's API have these routes.
"""

from typing import NamedTuple

from proxy.errors import GatewayError
from proxy.live import LiveSnapshot, UpstreamDoor
from proxy.own_models import Models
from proxy.resources.ownership import Owner

RESOURCE_FAMILIES = frozenset({"openai", "azure"})


class Choice(NamedTuple):
    """Where a call goes, and the upstream's own name of its model ("" when it names none)."""

    door: UpstreamDoor
    model: str


def choose_upstream(
    live: LiveSnapshot, model: str, pinned: Owner | None, tenant: str = ""
) -> Choice:
    """Choose for a tenant; raises GatewayError when nothing declared can serve the call."""
    choice = _choose(live, model, pinned, tenant)
    if choice.door.tenant not in ("", tenant):
        raise RuntimeError("a door of another tenant")  # never: models are bound by tenant
    return choice


def _choose(live: LiveSnapshot, model: str, pinned: Owner | None, tenant: str) -> Choice:
    models = live.models_of(tenant)
    if pinned is not None:
        return _pinned(live, model, pinned, models)
    for target in models.get(model, ()):
        door = live.doors[target.upstream]
        if door.family in RESOURCE_FAMILIES:
            return Choice(door, target.model)
    default = _default(live, tenant)
    if default is None:
        raise GatewayError(
            400,
            "invalid_request",
            "No upstream here speaks this part of OpenAI's API.",
            "Declare one of kind openai or azure, and name it default_upstream.",
        )
    return Choice(default, model)


def _pinned(live: LiveSnapshot, model: str, pinned: Owner, models: Models) -> Choice:
    try:
        door = live.doors[pinned.upstream]
    except KeyError:
        door = None
    if door is None or door.tenant not in ("", pinned.tenant):
        raise GatewayError(
            404,
            "not_found",
            f"The object lives at the upstream {pinned.upstream!r}, which is no longer declared.",
            "Declare that upstream again, or make the object anew.",
        )
    own = (t.model for t in models.get(model, ()) if t.upstream == pinned.upstream)
    return Choice(door, next(own, model))


def _default(live: LiveSnapshot, tenant: str) -> UpstreamDoor | None:
    names = [live.snapshot.default_upstream, *live.snapshot.upstreams]
    doors = (live.doors[live.bound(name, tenant)] for name in names if name)
    return next((door for door in doors if door.family in RESOURCE_FAMILIES), None)
