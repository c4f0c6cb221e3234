"""GET /v1/models and its 404: what this gateway serves. Called by routes.py and pipeline.py."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from config.errors import nearest
from proxy.errors import GatewayError
from proxy.own_models import Models

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


def model_document(models: Models, name: str, built_at: float) -> dict[str, Any]:
    """Describe one model in OpenAI's shape, of those a tenant may ask for; raises the 404."""
    targets = models.get(name)
    if targets is None:
        raise unknown_model(name, models)
    return {
        "id": name,
        "object": "model",
        "created": int(built_at),
        "owned_by": targets[0].upstream,
    }


def list_document(models: Models, built_at: float) -> dict[str, Any]:
    """Describe all models in OpenAI's shape."""
    data = [model_document(models, name, built_at) for name in sorted(models)]
    return {"object": "list", "data": data}


def anthropic_list(models: Models, built_at: float) -> dict[str, Any]:
    """Describe all models in Anthropic's shape, on one page."""
    at = datetime.fromtimestamp(int(built_at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    names = sorted(models)
    data = [{"type": "model", "id": name, "display_name": name, "created_at": at} for name in names]
    ends = {"first_id": names[0] if names else None, "last_id": names[-1] if names else None}
    return {"data": data, "has_more": False, **ends}


def gemini_list(models: Models) -> dict[str, Any]:
    """Describe all models in Google's shape, on one page."""
    methods = ["generateContent", "countTokens"]
    return {
        "models": [
            {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": methods}
            for name in sorted(models)
        ]
    }
