"""The mock's bill, read from its file."""

from pathlib import Path

from roles.mock_bill import read_mock_bill


def test_whole_lines_are_read_and_a_torn_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "mock-bill.jsonl"
    assert read_mock_bill(path) is None
    path.write_bytes(b"")
    assert read_mock_bill(path) == []
    path.write_bytes(b'{"id":"a.1"}\n{"id":"b.1"}\n{"id":"c')
    assert read_mock_bill(path) == [{"id": "a.1"}, {"id": "b.1"}]
