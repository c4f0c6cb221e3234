"""The ownership map: one file, many processes, nothing granted by accident."""

import os
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.clock import Clock
from proxy.errors import GatewayError
from proxy.resources import ownership as module
from proxy.resources.ownership import Owner, OwnershipMap

ACME = Owner("acme", "openai", "gpt-4o")
GLOBEX = Owner("globex", "openai")


def opened(path: Path, **options: int) -> OwnershipMap:
    return OwnershipMap(path / "ownership" / "objects.jsonl", Clock(), **options)


def test_a_claim_is_seen_by_every_process_at_once_and_after_a_restart(tmp_path: Path) -> None:
    one, other = opened(tmp_path), opened(tmp_path)
    one.claim(["file-1", "", "file-2"], ACME)
    assert other.find("file-1") == ACME
    assert other.find("file-3") is None
    assert opened(tmp_path).find("file-2") == ACME
    assert os.stat(tmp_path / "ownership" / "objects.jsonl").st_mode & 0o777 == 0o600  # noqa: PTH116


def test_what_is_somebodys_stays_theirs(tmp_path: Path) -> None:
    one = opened(tmp_path)
    one.claim(["file-1"], ACME)
    one.claim(["file-1"], GLOBEX)
    assert one.find("file-1") == opened(tmp_path).find("file-1") == ACME


def test_what_is_released_is_nobodys(tmp_path: Path) -> None:
    one, other = opened(tmp_path), opened(tmp_path)
    one.claim(["file-1"], ACME)
    assert other.find("file-1") == ACME
    one.release("file-1")
    other.claim(["file-2"], ACME)  # any write makes it read the news
    assert one.find("file-1") is None
    assert other.find("file-1") is None


def test_the_cost_of_an_object_is_counted_by_one_process_once(tmp_path: Path) -> None:
    one, other = opened(tmp_path), opened(tmp_path)
    one.claim(["batch_1"], ACME, is_open=True)
    one.claim(["batch_2"], ACME)
    assert [other.settle("batch_1"), one.settle("batch_1"), other.settle("batch_1")] == [
        True,
        False,
        False,
    ]
    assert not one.settle("batch_2")  # its cost was known from the start
    assert not opened(tmp_path).settle("batch_1")


def test_a_torn_or_foreign_line_costs_only_itself(tmp_path: Path) -> None:
    one = opened(tmp_path)
    one.claim(["file-1"], ACME)
    path = tmp_path / "ownership" / "objects.jsonl"
    with path.open("ab") as file:
        file.write(b'{"id":"file-2","ten\n[1]\nnull\n{"id":3}\n')
    one.claim(["file-4"], ACME)
    assert [one.find(f"file-{n}") is not None for n in (1, 2, 3, 4)] == [True, False, False, True]


def test_past_its_bound_the_oldest_is_forgotten_and_never_granted(tmp_path: Path) -> None:
    one = opened(tmp_path, most_entries=3)
    for number in range(5):
        one.claim([f"resp_{number}"], ACME)
    assert [one.find(f"resp_{n}") is not None for n in range(5)] == [False, False, True, True, True]


def test_compacting_keeps_what_is_owned_and_other_processes_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = opened(tmp_path)
    old.claim([f"file-{n}" for n in range(100)], ACME)
    old.claim(["batch_1"], GLOBEX, is_open=True)
    for number in range(99):
        old.release(f"file-{number}")
    path = tmp_path / "ownership" / "objects.jsonl"
    before = path.stat().st_size
    monkeypatch.setattr(module, "COMPACTED_FROM_BYTES", 100)
    fresh = opened(tmp_path)
    assert path.stat().st_size < before / 10
    assert path.stat().st_mode & 0o777 == 0o600
    assert fresh.find("file-99") == ACME
    old.claim(["file-new"], GLOBEX)  # written to the new file, not to the one that is gone
    assert fresh.find("file-new") == GLOBEX
    assert old.find("file-99") == ACME
    assert fresh.settle("batch_1")
    assert not old.settle("batch_1")


def test_what_cannot_be_kept_is_not_handed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = opened(tmp_path)
    real = os.write
    with monkeypatch.context() as patch:  # the disk is full in the middle of the line
        patch.setattr(os, "write", lambda fd, data: real(fd, data[:5]))
        with pytest.raises(GatewayError) as caught:
            one.claim(["file-1"], ACME)
    assert (caught.value.status, caught.value.code) == (503, "ownership_unwritable")
    one.claim(["file-2"], ACME)
    assert opened(tmp_path).find("file-1") is None
    assert opened(tmp_path).find("file-2") == ACME


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["claim", "release"]),
            st.sampled_from(["a", "b", "c"]),
            st.sampled_from([ACME, GLOBEX]),
            st.booleans(),
        ),
        max_size=20,
    )
)
def test_two_processes_agree_with_a_plain_dictionary(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, Owner, bool]]
) -> None:
    directory = tmp_path_factory.mktemp("map")
    maps = opened(directory), opened(directory)
    truth: dict[str, Owner] = {}
    for verb, object_id, owner, which in steps:
        # A process may act on what it has not read yet; in the file the first claim wins.
        acting = maps[which]
        acting.find("unknown")
        if verb == "claim":
            acting.claim([object_id], owner)
            truth.setdefault(object_id, owner)
        else:
            acting.release(object_id)
            truth.pop(object_id, None)
    for each in (*maps, opened(directory)):
        each.find("unknown")
        assert {name: each.find(name) for name in "abc"} == {n: truth.get(n) for n in "abc"}
    for each in maps:
        each.close()
    lines = (directory / "ownership" / "objects.jsonl").read_bytes().splitlines()
    assert all(orjson.loads(line) for line in lines)
