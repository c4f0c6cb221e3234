"""What a key may call and ask for. A key without scopes may all, and is asked about nothing.

Called by admission.py for the endpoint, by whoever learns of the model for the model, and by
models.py. The verdict is on the name the caller says; where a policy sends the call is its own.
"""

from collections.abc import Mapping
from typing import Any

from policies.globs import pattern_of
from policies.snapshot import KeyRecord
from proxy.errors import GatewayError

MOST_SHOWN = 8


def check_endpoint(key: KeyRecord, endpoint: str) -> None:
    """Raise 403 when the key may not call this endpoint."""
    if key.endpoints and endpoint not in key.endpoints:
        raise _refusal(f"This API key may not call {endpoint}.", key.endpoints)


def check_model(key: KeyRecord, endpoint: str, model: str) -> None:
    """Raise 403 when the key may not ask for this model.

    A call that names none, as of a batch, could use any: it needs its endpoint listed.
    """
    if not key.models or (not model and key.endpoints):
        return
    if not model:
        what = f"This API key is limited to models, and a call of {endpoint} names none."
        raise _refusal(what, key.models)
    if not pattern_of(key.models).fullmatch(model):
        raise _refusal(f"This API key may not use the model {model[:128]!r}.", key.models)


def visible_models(models: Mapping[str, Any], key: KeyRecord) -> list[str]:
    """The public names that the key may ask for, in order."""
    if not key.models:
        return sorted(models)
    pattern = pattern_of(key.models)
    return sorted(name for name in models if pattern.fullmatch(name))


def _refusal(message: str, allowed: tuple[str, ...]) -> GatewayError:
    shown = ", ".join(allowed[:MOST_SHOWN]) + (", ..." if len(allowed) > MOST_SHOWN else "")
    hint = f"It is made for {shown}: use one of these, or ask whoever made the key for more."
    return GatewayError(403, "permission_denied", message, hint)
