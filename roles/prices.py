"""`python main.py prices`: builds the shipped price book again, or explains one model's price."""

import argparse
import importlib
import tempfile
from pathlib import Path
from urllib.parse import quote

from admin_api.routes.prices import answer_price
from config.clock import Clock
from config.log import configure_logging
from config.operator import load_operator_config
from config.prices.document import read_document
from config.settings import Settings
from policies.catalogue import build_models, build_upstreams, write_effective_book
from roles.admin_client import find_running


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """The verb `prices`."""
    configure_logging(settings.log_format, "prices")
    if arguments.action == "build":
        # Needs packages of the development environment, which a gateway runs without.
        rows: list[str] = importlib.import_module("config.prices.build").write_book(Clock())
    else:
        rows = _explain(settings, arguments.model)
    print("\n".join(rows))
    return 0


def _explain(settings: Settings, model: str) -> list[str]:
    """By what is in force where a gateway runs, else by apex.yaml as it is now. ConfigError."""
    running = find_running(settings)
    if running is not None:
        answer = running.get(f"/admin/v1/prices/{quote(model, safe='')}")
    else:
        operator = load_operator_config(settings.config_path, settings.environ)
        # Only the control process keeps books: they are what usage was rated by.
        with tempfile.TemporaryDirectory(prefix="apex-prices-") as directory:
            book = write_effective_book(operator, read_document(), Path(directory))
        models = build_models(operator, book)
        answer = answer_price(book, build_upstreams(operator), models, model)
    return list(answer["rows"])
