"""GET /v1/models and its 404: what this gateway serves. Called by routes.py and pipeline.py."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from config.errors import nearest
from policies.snapshot import KeyRecord, Snapshot
from proxy.errors import GatewayError
from proxy.scopes import visible_models

LONGEST_NAME_CHARACTERS = 128


def unknown_model(name: str, known: Iterable[str]) -> GatewayError:
    """Build the 404 for a model that is not served, with the nearest names."""
    near = nearest(name[:LONGEST_NAME_CHARACTERS], known)  # looking for near names takes its length
    suggestion = f"Did you mean {', '.join(near)}?" if near else "GET /v1/models lists all."
    return GatewayError(
        404,
        "model_not_found",
        f"The model {name[:LONGEST_NAME_CHARACTERS]!r} is not served here.",
        f"{suggestion} The operator adds models under `models:` in apex.yaml.",
        param="model",
    )


def model_document(snapshot: Snapshot, key: KeyRecord, name: str) -> dict[str, Any]:
    """Describe one model in OpenAI's shape; raises the 404, also for one the key may not use."""
    visible = visible_models(snapshot.models, key)
    if name not in visible:
        raise unknown_model(name, visible)
    return _describe(snapshot, name)


def _describe(snapshot: Snapshot, name: str) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": int(snapshot.built_at),
        "owned_by": snapshot.models[name][0].upstream,
    }


def list_document(snapshot: Snapshot, key: KeyRecord) -> dict[str, Any]:
    """Describe the models the key may ask for in OpenAI's shape."""
    names = visible_models(snapshot.models, key)
    return {"object": "list", "data": [_describe(snapshot, name) for name in names]}


def anthropic_list(snapshot: Snapshot, key: KeyRecord) -> dict[str, Any]:
    """Describe the same in Anthropic's shape, on one page."""
    at = datetime.fromtimestamp(int(snapshot.built_at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    names = visible_models(snapshot.models, key)
    data = [{"type": "model", "id": name, "display_name": name, "created_at": at} for name in names]
    ends = {"first_id": names[0] if names else None, "last_id": names[-1] if names else None}
    return {"data": data, "has_more": False, **ends}


def gemini_list(snapshot: Snapshot, key: KeyRecord) -> dict[str, Any]:
    """Describe the same in Google's shape, on one page."""
    methods = ["generateContent", "countTokens"]
    return {
        "models": [
            {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": methods}
            for name in visible_models(snapshot.models, key)
        ]
    }
