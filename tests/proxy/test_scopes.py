"""What a key may call and ask for: by endpoint, by model, and for calls that name no model."""

from dataclasses import replace

import pytest

from proxy.errors import GatewayError
from proxy.scopes import check_endpoint, check_model, visible_models
from tests.proxy.samples import key_record

KEY = key_record()


def test_a_key_without_scopes_may_everything() -> None:
    check_endpoint(KEY, "files")
    check_model(KEY, "chat", "anything")
    check_model(KEY, "batches", "")
    assert visible_models({"b": 1, "a": 1}, KEY) == ["a", "b"]


@pytest.mark.parametrize(
    ("endpoints", "models", "endpoint", "model", "is_allowed"),
    [
        (("chat",), (), "chat", "m", True),
        (("chat",), (), "embeddings", "m", False),
        ((), ("gpt-*",), "chat", "gpt-4o", True),
        ((), ("gpt-*",), "chat", "claude", False),
        ((), ("gpt-*",), "chat", "x-gpt-4o", False),
        ((), ("gpt-*",), "batches", "", False),
        (("batches",), ("gpt-*",), "batches", "", True),
        (("batches",), ("gpt-*",), "batches", "claude", False),
    ],
)
def test_scopes(
    endpoints: tuple[str, ...], models: tuple[str, ...], endpoint: str, model: str, is_allowed: bool
) -> None:
    key = replace(KEY, endpoints=endpoints, models=models)

    def check() -> None:
        check_endpoint(key, endpoint)
        check_model(key, endpoint, model)

    if is_allowed:
        check()
        return
    with pytest.raises(GatewayError) as caught:
        check()
    assert (caught.value.status, caught.value.code) == (403, "permission_denied")
    assert (models or endpoints)[0] in caught.value.message
