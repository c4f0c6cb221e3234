"""What a path below /v1/ means, and which may not pass."""

import pytest

from proxy.errors import GatewayError
from proxy.resources.paths import read_path


@pytest.mark.parametrize(
    ("text", "collection", "object_id", "rest"),
    [
        ("files", "files", "", ()),
        ("files/", "files", "", ()),
        ("files/file-1", "files", "file-1", ()),
        ("files/file-1/content", "files", "file-1", ("content",)),
        ("vector_stores/vs_1/files/file-2", "vector_stores", "vs_1", ("files", "file-2")),
        ("fine_tuning/jobs", "fine_tuning/jobs", "", ()),
        ("fine_tuning/jobs/ft-1/events", "fine_tuning/jobs", "ft-1", ("events",)),
        ("chat/completions/chatcmpl-1", "chat/completions", "chatcmpl-1", ()),
        ("images/generations", "images", "", ("generations",)),
        ("audio/speech", "audio", "", ("speech",)),
        ("threads/runs", "threads", "", ("runs",)),
        ("tomorrow/x-1", "tomorrow", "x-1", ()),
    ],
)
def test_a_path_is_its_collection_its_object_and_the_rest(
    text: str, collection: str, object_id: str, rest: tuple[str, ...]
) -> None:
    path = read_path(text)
    assert (path.collection, path.object_id, path.rest) == (collection, object_id, rest)
    assert path.text == text.rstrip("/")
    assert path.is_top == (not object_id and not rest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "files/../models",
        "files/./x",
        "files//x",
        "files/%2e%2e/x",
        "files/a%2fb",
        "files/x;y",
        "files/x?y",
        "files/" + "a" * 257,
        "a/" * 9 + "b",
        "files/x#y",
        "files/é",
        "organization/admin_api_keys",
        "organizations",
        "projects/p/keys",
        "realtime/client_secrets",
        "realtime/sessions",
        "chatkit/sessions",
        "usage",
    ],
)
def test_what_could_be_read_in_two_ways_or_opens_the_account_is_not_served(text: str) -> None:
    with pytest.raises(GatewayError) as caught:
        read_path(text)
    assert (caught.value.status, caught.value.code) == (404, "unknown_route")
