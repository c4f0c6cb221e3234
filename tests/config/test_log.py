"""Log lines: one a record, readable or as GCP reads them."""

import json
import logging
import warnings
from collections.abc import Iterator

import pytest

from config.log import QUIET_LOGGERS, SILENT_LOGGERS, configure_logging


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    for name in (*QUIET_LOGGERS, *SILENT_LOGGERS):
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_text_is_one_readable_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("text", "proxy")
    logging.getLogger("ledger.shipper").warning("shipped %d", 7)
    assert capsys.readouterr().err[8:] == " WARNING proxy ledger.shipper: shipped 7\n"


def test_text_cannot_be_forged_by_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    """trust.md B4: log forging."""
    configure_logging("text", "proxy")
    logging.getLogger("a").info("model %s", "x\n12:00:00 ERROR proxy a: fake\x1b[31m")
    assert capsys.readouterr().err.count("\n") == 1


def test_json_has_the_fields_gcp_reads(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json", "admin")
    try:
        raise ValueError("broken\nhere")
    except ValueError:
        logging.getLogger("a.b").exception("it %s", "failed")
    (line,) = capsys.readouterr().err.splitlines()
    entry = json.loads(line)
    assert entry["severity"] == "ERROR"
    assert entry["message"] == "it failed"
    assert (entry["logger"], entry["role"]) == ("a.b", "admin")
    assert entry["time"].endswith("+00:00")
    assert "ValueError: broken\nhere" in entry["stack_trace"]


def test_json_has_a_callers_fields_but_not_in_place_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("json", "admin")
    fields = {"event": "ready", "seconds": 1.5, "role": "forged"}
    logging.getLogger("a").info("it is ready", extra={"fields": fields})
    entry = json.loads(capsys.readouterr().err)
    assert (entry["event"], entry["seconds"], entry["role"]) == ("ready", 1.5, "admin")


def test_drivers_do_not_repeat_what_their_caller_says(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("text", "control")
    logging.getLogger("urllib3.connectionpool").warning("Retrying (Retry(total=1...))")
    logging.getLogger("clickhouse_connect.driver.httpclient").error("Unexpected Http Driver")
    assert capsys.readouterr().err == ""


def test_text_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("text", "admin")
    logging.getLogger("a").error("failed", exc_info=KeyError("gone"))
    assert "KeyError: 'gone'" in capsys.readouterr().err


def test_calling_again_replaces(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("text", "proxy")
    configure_logging("json", "proxy")
    logging.getLogger("a").info("once")
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_quiet_loggers_speak_from_warning_up(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("text", "proxy")
    logging.getLogger("aiohttp.access").info("GET /")
    logging.getLogger("a").debug("detail")
    assert capsys.readouterr().err == ""


def test_warnings_become_log_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("text", "proxy")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old thing", UserWarning, stacklevel=1)
    assert "old thing" in capsys.readouterr().err
