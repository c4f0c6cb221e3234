"""Rows of the fault matrix that need a test of their own: what callers do, and what time does.

Printed by tests/docs_tables.py; tests/test_docs.py looks for each test that is named here.
"""

from dataclasses import dataclass

LEAVING = "faults/test_leaving_callers.py"
SLOW = "faults/test_slow_callers.py"
ODD = "faults/test_odd_callers.py"
CONNECTIONS = "faults/test_upstream_connections.py"


@dataclass(frozen=True, slots=True)
class CallerRow:
    """What happens, what comes of it, what is recorded, and the test that shows it."""

    name: str
    comes_to: str
    recorded: str
    file: str
    test: str


CALLER_ROWS = (
    CallerRow(
        "leaves before the headers (document, stream)",
        "the upstream's call is cut; the next same call asks again",
        "client_closed, usage unknown",
        LEAVING,
        "test_a_caller_who_leaves_before_the_headers",
    ),
    CallerRow(
        "leaves in the middle of a stream",
        "the upstream's call is cut; nothing is kept",
        "client_closed, usage unknown",
        LEAVING,
        "test_a_caller_who_leaves_in_the_middle_of_a_stream",
    ),
    CallerRow(
        "leaves during the upload",
        "no upstream is asked",
        "client_closed, usage none",
        LEAVING,
        "test_a_caller_who_leaves_during_the_upload",
    ),
    CallerRow(
        "leaves during the upload of a file",
        "the upstream sees the form break off, never a shorter file",
        "client_closed, usage unknown",
        LEAVING,
        "test_a_caller_who_leaves_during_the_upload_of_a_file",
    ),
    CallerRow(
        "reads slowly, or not at all",
        "its upstream is held back, memory is bounded, 30 others are served meanwhile",
        "client_closed when it goes",
        SLOW,
        "test_a_slow_reader_holds_its_upstream_back_and_nobody_else",
    ),
    CallerRow(
        "does not read for longer than `timeouts.idle_s`",
        "is cut, and its place is free again",
        "client_closed, usage unknown",
        "proxy/test_deadlines.py",
        "test_a_slow_reader_of_a_relayed_stream_ends_as_one_who_left",
    ),
    CallerRow(
        "sends a head byte by byte (slowloris)",
        "is closed 10 s after the head's first byte",
        "nothing: it was no request",
        SLOW,
        "test_a_head_that_drips_is_cut",
    ),
    CallerRow(
        "sends a body byte by byte",
        "408 `request_timeout` after 60 s",
        "refused, usage none",
        SLOW,
        "test_a_body_that_drips_is_refused",
    ),
    CallerRow(
        "keeps a connection idle",
        "may go on with it",
        "each call as ever",
        SLOW,
        "test_an_idle_connection_may_wait_longer_than_a_head",
    ),
    CallerRow(
        "pipelines calls",
        "each is answered, in order",
        "each call as ever",
        ODD,
        "test_pipelined_calls_are_answered_in_order",
    ),
    CallerRow(
        "`Expect: 100-continue`",
        "the body is asked for once the caller is known and it will be read",
        "ok",
        ODD,
        "test_a_body_is_asked_for_when_it_is_wanted",
    ),
    CallerRow(
        "`Expect: 100-continue` with a bad key, too much, or nowhere to go",
        "401, 413, 404 at once; the body is not asked for, the connection ends",
        "refused, where the key is known",
        ODD,
        "test_a_body_nobody_wants_is_not_asked_for",
    ),
    CallerRow(
        "`HEAD`",
        "the head of `GET`, no body; 405 where there is no `GET`",
        "nothing",
        ODD,
        "test_head_has_the_head_of_get_and_no_body",
    ),
    CallerRow(
        "HTTP/1.0 (document, stream)",
        "an answer without chunks, to the connection's end",
        "ok",
        ODD,
        "test_http_1_0_is_answered_to_the_connections_end",
    ),
    CallerRow(
        "asks for an upgrade to h2c",
        "is answered in HTTP/1.1, and the connection ends",
        "ok",
        ODD,
        "test_an_upgrade_that_is_not_taken_ends_the_connection",
    ),
    CallerRow(
        "uploads a file of 100 MB",
        "streams through; memory stays below 16 MiB",
        "ok, usage none",
        ODD,
        "test_an_upload_of_100_mb_streams_through",
    ),
    CallerRow(
        "sends a prompt over `limits.max_body_bytes`",
        "413 `request_too_large`, before the body is read",
        "refused, usage none",
        ODD,
        "test_a_prompt_over_the_cap_is_refused_unread",
    ),
    CallerRow(
        "asks which model served",
        "`model` and `x-apex-model` name it, in documents and streams",
        "ok",
        ODD,
        "test_the_served_model_is_told",
    ),
    CallerRow(
        "goes on with a kept connection, then says `Connection: close`",
        "is served on one connection until then",
        "ok",
        CONNECTIONS,
        "test_a_caller_may_be_closed_upon_between_calls_only",
    ),
    CallerRow(
        "an upstream closes idle connections under load",
        "every call is answered, none is made twice",
        "ok, after `upstream_unreachable` where it lost the race",
        CONNECTIONS,
        "test_an_upstream_that_closes_idle_connections_under_load_costs_no_call",
    ),
    CallerRow(
        "an upstream's kept connection dies under a call",
        "the call is made again on a new one",
        "upstream_unreachable, then ok",
        CONNECTIONS,
        "test_a_kept_connection_that_dies_under_a_call_is_replaced",
    ),
    CallerRow(
        "slow failures one after the other",
        "all attempts together stay within `timeouts.total_s`",
        "each attempt, one of them final",
        CONNECTIONS,
        "test_all_attempts_share_one_budget_of_time",
    ),
    CallerRow(
        "a first token after 20 s (a hundredth of it)",
        "headers and comments meanwhile, no failover",
        "ok",
        CONNECTIONS,
        "test_a_slow_first_token_is_bridged_by_comments_without_failover",
    ),
    CallerRow(
        "hides a route's name in a path, `Host` or forwarding header",
        "401 without a key, as the route itself says",
        "nothing: nobody is known",
        "faults/test_bad_input_rows.py",
        "test_no_writing_of_a_path_gets_past_the_key",
    ),
    CallerRow(
        "500 callers ask the same at once",
        "one call, all are answered with it",
        "each, the others as hits",
        "faults/test_herds.py",
        "test_a_herd_of_equal_calls_is_one_call",
    ),
)


def caller_table() -> str:
    """The rows as a Markdown table; a test's path is below tests/."""
    lines = ["| what happens | what comes of it | recorded | shown by |", "|---|---|---|---|"]
    lines += [
        f"| {row.name} | {row.comes_to} | {row.recorded} | `{row.file}::{row.test}` |"
        for row in CALLER_ROWS
    ]
    return "\n".join(lines) + "\n"
