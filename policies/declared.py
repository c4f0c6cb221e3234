"""apex.yaml with what its policies and prices say checked too, each refusal at its line.

Called by roles.checking before the gateway makes anything, and by the control process.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from config.errors import suggest
from config.operator import OperatorFile, read_operator_file
from config.operator_model import OperatorConfig
from config.prices.document import BOOK_PATH
from config.validating import refuse_at
from config.yaml_loading import KeyPath
from ledger.price_book import load_price_book
from policies.catalogue import build_models, find_price_conflict
from policies.model import Policy
from policies.versions import load_policy_at


def load_declared(
    path: Path | None, environ: Mapping[str, str], price_book_path: Path = BOOK_PATH
) -> OperatorConfig:
    """The configuration, as config.operator.load_operator_config gives it. ConfigError."""
    file = read_operator_file(path, environ)
    conflict = find_price_conflict(file.config)
    if conflict is not None:
        raise refuse_at(file.document, conflict.path, conflict.message, conflict.hint)
    checks = _PolicyChecks(file, price_book_path)
    for tenant in file.config.tenants:
        checks.check_tenant(tenant)
    return file.config


class _PolicyChecks:
    def __init__(self, file: OperatorFile, price_book_path: Path) -> None:
        self._file = file
        self._price_book_path = price_book_path

    def check_tenant(self, tenant: str) -> None:
        """Shipped policies name models not served here as well; an operator's own should not."""
        source = self._file.config.tenants[tenant].policy
        place: KeyPath = ("tenants", tenant, "policy")
        named = source if isinstance(source, str) else {"name": tenant, **source}
        policy = load_policy_at(named, self._file.document, place)
        if not isinstance(source, str):
            self._check_models(policy, place)

    @cached_property
    def _models(self) -> frozenset[str]:
        """Read on demand: the book is a megabyte, and most policies name no model."""
        return frozenset(build_models(self._file.config, load_price_book(self._price_book_path)))

    def _check_models(self, policy: Policy, place: KeyPath) -> None:
        for path, name in _named_models(policy, place):
            if name not in self._models:
                hint = suggest(name, self._models)
                raise refuse_at(self._file.document, path, f"unknown model {name!r}", hint)


def _named_models(policy: Policy, place: KeyPath) -> list[tuple[KeyPath, str]]:
    """(key path, public model name) of every model that a rule may send a request to."""
    found: list[tuple[KeyPath, str]] = []
    for number, rule in enumerate(policy.rules):
        at = (*place, "rules", number)
        for index, target in enumerate(rule.route):
            found.append(((*at, "route", index, "model"), target.model))
        for index, name in enumerate(rule.fallback):
            found.append(((*at, "fallback", index), name))
    return found
