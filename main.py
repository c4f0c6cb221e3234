"""The command line of Netra Apex: reads the arguments and the settings, then calls one role.

Every verb imports its role only when it is asked for, so that a proxy never loads the control
plane's engines. Nobody imports this module.
"""

import argparse
import importlib
import os
import select
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

OUR_PACKAGES = (
    "config",
    "storage",
    "ledger",
    "policies",
    "optimizer",
    "proxy",
    "admin_api",
    "roles",
)
BROKEN_PIPE_STATUS = 141  # what a shell shows for a program that SIGPIPE ended
AddArguments = Callable[[argparse.ArgumentParser], None]


@dataclass(frozen=True, slots=True)
class Verb:
    """One word of the command line; `entry` is "module:function" of the role that serves it."""

    name: str
    entry: str
    help: str | None  # None: a verb our own processes use, kept out of the help
    add_arguments: AddArguments | None = None


def _add_child_arguments(parser: argparse.ArgumentParser) -> None:
    """What the supervisor tells its children; a person never types these."""
    parser.add_argument("--index", type=int, default=0, help=argparse.SUPPRESS)
    for name in ("--fd", "--lifeline-fd", "--report-fd", "--gate-fd"):
        parser.add_argument(name, type=int, default=None, help=argparse.SUPPRESS)
    parser.add_argument("--mock-url", default=None, help=argparse.SUPPRESS)


def _add_mock_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port",
        type=_port,
        default=None,
        metavar="PORT",
        help="listen on this port (default: the first free one from 8082; 0: any)",
    )
    parser.add_argument(
        "--host",
        default=None,
        metavar="ADDRESS",
        help="listen on this address (default: 127.0.0.1); the mock accepts every key",
    )
    _add_child_arguments(parser)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: write a number up to 65535")
    return int(text)


def _add_usage_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--group-by",
        default="model",
        metavar="DIMENSION",
        help="model, served_model, key, tag, day, upstream, cache, tenant or arm (default: model)",
    )
    parser.add_argument("--tenant", metavar="NAME", help="only this tenant's (default: everyone's)")
    parser.add_argument("--from", dest="from_", metavar="TIME", help="first moment, ISO 8601, UTC")
    parser.add_argument("--to", metavar="TIME", help="end of the period, not in it, ISO 8601, UTC")
    _add_json_argument(parser)


def _add_json_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")


def _add_request_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("request_id", metavar="ID", help="the x-apex-request-id of an answer")
    _add_json_argument(parser)


def _add_purge_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tenant", help="only this tenant's entries (default: everything)")


def _add_prices_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="the models of the shipped book and their prices")
    listing.add_argument("--provider", metavar="NAME", help="only this provider's")
    listing.add_argument("--state", choices=("agreed", "disputed", "unknown"), help="only these")
    _add_json_argument(listing)
    explain = actions.add_parser("explain", help="what a model costs, and where the price is from")
    explain.add_argument("model", metavar="MODEL")
    _add_worked_arguments(explain)
    diff = actions.add_parser("diff", help="what two books say otherwise")
    diff.add_argument("old", metavar="OLD", help="a file, or the beginning of a kept book's hash")
    diff.add_argument("new", metavar="NEW", nargs="?", help="the same (default: the shipped book)")
    update = actions.add_parser("update", help="append prices that a person reviewed")
    update.add_argument("--file", required=True, help="YAML or JSON; docs/prices.md shows one")
    actions.add_parser("report", help="what is agreed, and what is disputed and why, as Markdown")
    actions.add_parser("build", help="build the price book again from the pinned price sources")


def _add_worked_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tier", default="", help="the served tier: batch, flex, priority ...")
    parser.add_argument("--region", default="", help="the region it was served in")
    for name, meaning in (
        ("input", "uncached input"),
        ("cached", "input that was read from the cache"),
        ("cache-write", "input that was written to the cache for 5 minutes"),
        ("output", "output"),
    ):
        text = f"work out a cost with so many tokens of {meaning}"
        parser.add_argument(f"--{name}-tokens", type=_count, default=0, metavar="N", help=text)
    text = "work out a cost with so many units, such as web_search_calls=2; may be repeated"
    parser.add_argument("--unit", action="append", default=[], metavar="NAME=N", help=text)


def _count(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is no count: write a whole number")
    return int(text)


_FIELD = "a field; the value is JSON or text, @FILE or @- for what is secret; may be repeated"
_VERSION = "only if this is its version still"


def _add_resource_arguments(name: str, actions: dict[str, str]) -> AddArguments:
    """The actions of a resource: a list of all, the others of one that is named."""

    def add(parser: argparse.ArgumentParser) -> None:
        chosen = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        for action, text in actions.items():
            child = chosen.add_parser(action, help=text, description=text)
            if action != "list":
                child.add_argument("name", metavar="NAME", help="its name or its id")
            if action in {"create", "update", "rotate"}:
                child.add_argument("--set", action="append", metavar="NAME=VALUE", help=_FIELD)
            if action in {"update", "archive", "delete", "remove"}:
                child.add_argument("--version", type=_count, metavar="N", help=_VERSION)
            if name != "tenants":
                child.add_argument("--tenant", metavar="NAME", help="whose")
            _add_json_argument(child)

    return add


_LIFE = {"list": "all of them", "create": "make one", "show": "show one", "update": "change one"}
_KEYS = {
    **_LIFE,
    "rotate": "a new key in its place; it lives on for overlap_s",
    "revoke": "end one at once",
}
_MEMBERS = {
    "list": "all of them",
    "show": "show one",
    "update": "change one, as in --set role=admin",
    "remove": "take one out of the tenant",
}
_CREDENTIALS = {**_LIFE, "rotate": "another secret in its place", "delete": "remove one"}
_INVITATIONS = {"list": "all of them", "create": "invite an address", "delete": "withdraw one"}


def _add_audit_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="the newest changes")
    listing.add_argument("--action", dest="changes", metavar="NAME", help="such as key.create")
    listing.add_argument("--subject", metavar="PATH", help="beginning of what was changed")
    listing.add_argument("--actor", metavar="NAME", help="operator, or user: and an id")
    listing.add_argument("--limit", type=_count, default=50, metavar="N", help="default: 50")
    export = actions.add_parser("export", help="the whole chain as lines of JSON")
    verify = actions.add_parser("verify", help="compute every hash anew; 1 when one is wrong")
    verify.add_argument("--file", metavar="FILE", help="an export (default: ask the gateway)")
    text = "an entry's hash as it was seen before: it has to be there still"
    verify.add_argument("--expect-hash", metavar="HASH", help=text)
    for child in (listing, export, verify):
        text = "this tenant's chain (default: that of what concerns all)"
        child.add_argument("--tenant", metavar="NAME", help=text)
    for child in (listing, verify):
        _add_json_argument(child)


def _resource(name: str, text: str, actions: dict[str, str]) -> Verb:
    return Verb(name, "roles.resources:run", text, _add_resource_arguments(name, actions))


VERBS = (
    Verb(
        "all",
        "roles.supervisor:run",
        "run everything: proxies, control plane, mock",
        _add_child_arguments,
    ),
    Verb("proxy", "roles.proxy_process:run", "run the data plane alone", _add_child_arguments),
    Verb("admin", "roles.split:run_admin", "run the admin API alone (needs server engines)"),
    Verb("worker", "roles.split:run_worker", "run the shipper alone (needs server engines)"),
    Verb("mock", "roles.mock_process:run", "run the mock provider alone", _add_mock_arguments),
    Verb("migrate", "roles.prepare:run_migrate", "bring the stores to this version's schema"),
    Verb(
        "usage",
        "roles.reports:run_usage",
        "requests, tokens and cost, as a table",
        _add_usage_arguments,
    ),
    Verb(
        "requests",
        "roles.reports:run_request",
        "everything known about one request",
        _add_request_arguments,
    ),
    Verb(
        "conservation",
        "roles.reports:run_conservation",
        "check that log, store and bill agree exactly",
        _add_json_argument,
    ),
    Verb(
        "prices",
        "roles.prices:run",
        "the prices: list, explain, diff, update, report",
        _add_prices_arguments,
    ),
    _resource("tenants", "the tenants of this gateway", {**_LIFE, "archive": "end one"}),
    _resource("projects", "a tenant's projects", {**_LIFE, "archive": "end one"}),
    _resource("keys", "a tenant's API keys", _KEYS),
    _resource("members", "who is what to a tenant", _MEMBERS),
    _resource("invitations", "who is invited to a tenant", _INVITATIONS),
    _resource("credentials", "keys at providers, a tenant's or the operator's", _CREDENTIALS),
    Verb(
        "audit",
        "roles.audit:run",
        "what was changed, by whom: list, export, verify",
        _add_audit_arguments,
    ),
    Verb("purge", "roles.reports:run_purge", "empty the exact cache", _add_purge_arguments),
    Verb(
        "rotate-master-key", "roles.rotating:run", "move what is sealed to the current master key"
    ),
    Verb("control", "roles.control:run", None, _add_child_arguments),
    Verb("companion", "roles.companion:run", None, _add_child_arguments),
    Verb("check-config", "roles.checking:run", None),
    Verb("prepare", "roles.prepare:run", None, _add_child_arguments),
)


def build_parser() -> argparse.ArgumentParser:
    """The parser of every verb."""
    parser = argparse.ArgumentParser(
        prog="main.py",
        description="Netra Apex: a self-hosted gateway for language models.",
        epilog="Settings come from the environment (APEX_*) and from the file APEX_CONFIG names;"
        " docs/configuration.md lists them. `main.py VERB --help` explains a verb.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in VERBS:
        # argparse lists a verb only when it was given a help text.
        texts: dict[str, Any] = {"help": verb.help, "description": verb.help} if verb.help else {}
        child = verbs.add_parser(verb.name, **texts)
        if verb.add_arguments is not None:
            verb.add_arguments(child)
    return parser


def main(words: list[str] | None = None) -> int:
    """Run one verb; the process's exit status (0 good, 2 refused with a hint)."""
    try:
        try:
            return _run(words)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        if _has_reader():
            raise
        # The reader left, as `| head` does. Else the interpreter would fail once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE_STATUS


def _has_reader() -> bool:
    """Whether someone still reads our standard output: if so, another pipe broke."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), select.POLLOUT)
    return not any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _run(words: list[str] | None) -> int:
    arguments = build_parser().parse_args(words)
    from config.errors import ConfigError
    from config.settings import load_settings

    verb = next(verb for verb in VERBS if verb.name == arguments.verb)
    module_name, function_name = verb.entry.split(":")
    try:
        settings = load_settings()
        role = importlib.import_module(module_name)
        return int(getattr(role, function_name)(settings, arguments))
    except ConfigError as error:
        print(f"error: {error.message}\n  hint: {error.hint}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in OUR_PACKAGES:
            raise
        hint = "install the dependencies with `make install` and run .venv/bin/python main.py"
        print(f"error: {error.name} is not installed\n  hint: {hint}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
