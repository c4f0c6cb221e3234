"""`python main.py prices`: list, explain, compare, report, update and build the prices."""

import argparse
import importlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from admin_api.routes.prices import answer_price
from config.clock import Clock
from config.errors import ConfigError, suggest
from config.log import configure_logging
from config.operator import load_operator_config
from config.prices.document import BOOK_PATH, read_document
from config.prices.updating import update_prices
from config.settings import Settings
from ledger.price_book import PriceBook, load_price_book, write_price_book
from ledger.price_diff import COLUMNS, diff_books
from ledger.price_list import list_prices, table_of
from ledger.price_summary import report_rows
from policies.catalogue import build_models, build_upstreams, write_effective_book
from roles.admin_client import find_running
from roles.places import price_books_directory
from roles.tables import align
from roles.worked_prices import is_worked, work_out

_SHORTEST_HASH = 6


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """The verb `prices`."""
    configure_logging(settings.log_format, "prices")
    rows = _ACTIONS[arguments.action](settings, arguments)
    print("\n".join(rows))
    return 0


def _build(settings: Settings, arguments: argparse.Namespace) -> list[str]:
    del settings, arguments
    # Needs packages of the development environment, which a gateway runs without.
    rows: list[str] = importlib.import_module("config.prices.build").write_book(Clock())
    return rows


def _list(settings: Settings, arguments: argparse.Namespace) -> list[str]:
    """The shipped book's models; unknown are the targets of apex.yaml that have no price."""
    book = load_price_book()
    provider, state = arguments.provider or "", arguments.state or ""
    if provider and provider not in book.known_providers():
        raise ConfigError(
            f"the book has no provider {provider!r}", suggest(provider, book.known_providers())
        )
    rows = list_prices(book, provider, state)
    if state == "unknown":
        rows = _unknown_targets(settings, provider)
    if arguments.json:
        return [json.dumps({"price_book": book.hash, "rows": rows}, indent=1)]
    if not rows:
        return ["no such prices"]
    count = "1 model" if len(rows) == 1 else f"{len(rows)} models"
    return [*align(table_of(rows)), "", f"{count}, USD per million tokens, book {book.hash}"]


def _unknown_targets(settings: Settings, provider: str) -> list[dict[str, Any]]:
    """What apex.yaml serves and nobody prices; a provider here is an upstream's kind."""
    operator = load_operator_config(settings.config_path, settings.environ)
    book, upstreams = _effective_book(settings), build_upstreams(operator)
    models = build_models(operator, book)
    return [
        {**target, "provider": target["upstream"], "bands": []}
        for name in operator.models
        for target in answer_price(book, upstreams, models, name)["targets"]
        if target["state"] == "unknown" and provider in {"", upstreams[target["upstream"]].kind}
    ]


def _explain(settings: Settings, arguments: argparse.Namespace) -> list[str]:
    """By what is in force where a gateway runs, else by apex.yaml as it is now. ConfigError."""
    model = arguments.model
    running = find_running(settings)
    operator = load_operator_config(settings.config_path, settings.environ)
    if running is not None:
        answer = running.get(f"/admin/v1/prices/{quote(model, safe='')}")
    else:
        book = _effective_book(settings)
        models = build_models(operator, book)
        answer = answer_price(book, build_upstreams(operator), models, model)
    rows = list(answer["rows"])
    if is_worked(arguments):
        rows += ["", *work_out(_effective_book(settings), operator, arguments)]
    return rows


def _effective_book(settings: Settings) -> PriceBook:
    operator = load_operator_config(settings.config_path, settings.environ)
    # Only the control process keeps books: they are what usage was rated by.
    with tempfile.TemporaryDirectory(prefix="apex-prices-") as directory:
        return write_effective_book(operator, read_document(), Path(directory))


def _diff(settings: Settings, arguments: argparse.Namespace) -> list[str]:
    old, new = (_find_book(settings, each) for each in (arguments.old, arguments.new))
    changes = diff_books(old, new)
    if not changes:
        return [f"{old.hash} and {new.hash} say the same"]
    models = len({change[0] for change in changes})
    return [*align([COLUMNS, *changes]), "", f"{len(changes)} differences in {models} models"]


def _find_book(settings: Settings, name: str | None) -> PriceBook:
    """A book by path or by the beginning of its hash; None is the shipped one."""
    if name is None:
        return load_price_book()
    if Path(name).is_file():
        return load_price_book(Path(name))
    directory = price_books_directory(settings)
    books = {path.stem: path for path in sorted(directory.glob("*.json"))}
    found = [path for stem, path in books.items() if stem.startswith(name)]
    if len(name) >= _SHORTEST_HASH and len(found) == 1:
        return load_price_book(found[0])
    raise ConfigError(
        f"{name} is neither a file nor a hash of one book in {directory}",
        f"give a path, or at least {_SHORTEST_HASH} digits of a hash: "
        + (", ".join(stem[:12] for stem in list(books)[:8]) or "no book is kept there yet"),
    )


def _update(settings: Settings, arguments: argparse.Namespace) -> list[str]:
    # What usage was rated by before stays readable by its hash.
    kept = write_price_book(read_document(), price_books_directory(settings))
    rows = update_prices(Path(arguments.file), Clock())
    return [*rows, f"kept {price_books_directory(settings) / kept}.json", "restart to use it"]


def _report(settings: Settings, arguments: argparse.Namespace) -> list[str]:
    del settings, arguments
    return report_rows(load_price_book(BOOK_PATH))


_ACTIONS: dict[str, Callable[[Settings, argparse.Namespace], list[str]]] = {
    "build": _build,
    "list": _list,
    "explain": _explain,
    "diff": _diff,
    "update": _update,
    "report": _report,
}
