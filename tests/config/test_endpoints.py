"""The endpoints a key can be limited to are those that the data plane has."""

import pytest

from config.endpoints import ENDPOINTS, check_endpoints
from proxy.dialects.table import DIALECTS
from proxy.resources import dialect


def test_the_list_is_that_of_the_data_plane() -> None:
    assert set(ENDPOINTS) == set(DIALECTS) | set(dialect.DIALECTS)
    assert len(set(ENDPOINTS)) == len(ENDPOINTS)


def test_an_unknown_one_is_refused_with_the_list() -> None:
    check_endpoints(("chat", "files"))
    with pytest.raises(ValueError, match="unknown endpoint 'chats': there are chat, "):
        check_endpoints(("chats",))
