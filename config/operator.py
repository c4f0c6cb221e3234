"""apex.yaml, loaded and checked as a whole: the control process calls `load_operator_config` once.

The shape is in config.operator_model; here is what one key says about another.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from config.base_urls import BaseUrlError, check_base_url
from config.errors import ConfigError, suggest
from config.operator_model import (
    CacheConfig,
    IdentityConfig,
    IssuerConfig,
    KeyConfig,
    Limits,
    ModelConfig,
    ModelTarget,
    OperatorConfig,
    PriceOverride,
    TenantConfig,
    Timeouts,
    UpstreamConfig,
)
from config.provider_kinds import (
    BASE_URL_EXAMPLES,
    KNOWN_KINDS,
    MOCK_KIND,
    NEEDS_BASE_URL,
    NEEDS_REGION,
    OPENAI_KIND,
)
from config.validating import describe_model, refuse_at, validate
from config.yaml_loading import KeyPath, LocatedDocument, format_path, parse_yaml, read_yaml

__all__ = [
    "CacheConfig",
    "IdentityConfig",
    "IssuerConfig",
    "KeyConfig",
    "Limits",
    "ModelConfig",
    "ModelTarget",
    "OperatorConfig",
    "OperatorFile",
    "PriceOverride",
    "TenantConfig",
    "Timeouts",
    "UpstreamConfig",
    "check_operator_config",
    "describe_config",
    "is_loopback",
    "is_safe_url",
    "load_operator_config",
    "read_operator_file",
]

OPENAI_BASE_URL = "https://api.openai.com/v1"
BUILT_IN_KEY_VARIABLE = "OPENAI_API_KEY"
BUILT_IN_OPENAI = f"""
upstreams: {{openai: {{kind: openai, api_key: "env:{BUILT_IN_KEY_VARIABLE}"}}}}
default_upstream: openai
"""
BUILT_IN_MOCK = """
upstreams: {mock: {kind: mock}}
default_upstream: mock
"""


@dataclass(frozen=True, slots=True)
class OperatorFile:
    """The checked configuration and the document it was read from, which may hold secrets."""

    config: OperatorConfig
    document: LocatedDocument = field(repr=False)


def load_operator_config(path: Path | None, environ: Mapping[str, str]) -> OperatorConfig:
    """The checked configuration, secrets filled in from `environ`; None is the built-in default.

    ConfigError names file:line, the key path, and how to put it right.
    """
    return read_operator_file(path, environ).config


def read_operator_file(path: Path | None, environ: Mapping[str, str]) -> OperatorFile:
    """As `load_operator_config`, with the document, for checks that other packages add."""
    if path is None:
        document = _parse_built_in(environ)
    else:
        document = read_yaml(path, "APEX_CONFIG names it: correct that path or its permissions")
    return OperatorFile(check_operator_config(document, environ), document)


def check_operator_config(document: LocatedDocument, environ: Mapping[str, str]) -> OperatorConfig:
    """As `load_operator_config`, for a document that is read already."""
    config = validate(OperatorConfig, document, {"environ": environ})
    if not config.upstreams:
        config = _add_built_in_upstream(config, environ)
    checks = _Checks(document)
    upstreams = {
        name: checks.complete_upstream(name, upstream)
        for name, upstream in config.upstreams.items()
    }
    checks.check_references(config)
    checks.check_keys(config.tenants)
    checks.check_sizes(config)
    checks.check_identity(config)
    return config.model_copy(update={"upstreams": upstreams})


def describe_config() -> list[tuple[str, str, str]]:
    """(dotted key, default, meaning) of every key of apex.yaml, in the order of the file."""
    return describe_model(OperatorConfig)


def _parse_built_in(environ: Mapping[str, str]) -> LocatedDocument:
    has_key = bool(environ.get(BUILT_IN_KEY_VARIABLE, "").strip())
    text = BUILT_IN_OPENAI if has_key else BUILT_IN_MOCK
    return parse_yaml(text, "the built-in configuration")


def _add_built_in_upstream(config: OperatorConfig, environ: Mapping[str, str]) -> OperatorConfig:
    built_in = check_operator_config(_parse_built_in(environ), environ)
    default = config.default_upstream or built_in.default_upstream
    return config.model_copy(update={"upstreams": built_in.upstreams, "default_upstream": default})


class _Checks:
    """The checks across keys; every refusal is located in the document."""

    def __init__(self, document: LocatedDocument) -> None:
        self._document = document

    def complete_upstream(self, name: str, upstream: UpstreamConfig) -> UpstreamConfig:
        """The upstream with its base_url filled in and in one spelling."""
        path: KeyPath = ("upstreams", name)
        if upstream.kind not in KNOWN_KINDS:
            raise self._refuse(
                (*path, "kind"),
                f"unknown kind {upstream.kind!r}",
                f"{suggest(upstream.kind, KNOWN_KINDS)} a server that speaks the OpenAI API "
                "is kind openai with its own base_url",
            )
        base_url = upstream.base_url
        if base_url is None:
            base_url = OPENAI_BASE_URL if upstream.kind == OPENAI_KIND else None
        else:
            base_url = self._check_base_url((*path, "base_url"), base_url, upstream.allow_private)
        self._check_complete(path, upstream)
        return upstream.model_copy(update={"base_url": base_url})

    def _check_complete(self, path: KeyPath, upstream: UpstreamConfig) -> None:
        """Refuse at the start what could only fail at the first call."""
        kind = upstream.kind
        if kind == MOCK_KIND:
            return
        if not (upstream.api_key or upstream.allow_private):
            variable = BUILT_IN_KEY_VARIABLE if kind == OPENAI_KIND else f"{kind.upper()}_API_KEY"
            raise self._refuse(path, "api_key is missing", f"add api_key: env:{variable}")
        if kind in NEEDS_BASE_URL and upstream.base_url is None:
            example = BASE_URL_EXAMPLES.get(kind, "http://HOST:8000/v1")
            raise self._refuse(
                path, f"kind {kind} needs a base_url", f"add base_url, such as {example}"
            )
        if kind in NEEDS_REGION and not upstream.region:
            raise self._refuse(path, f"kind {kind} needs a region", "add region: us-east-1")
        if upstream.api_version and kind != "azure":
            hint = "leave it out: only kind azure has one"
            raise self._refuse((*path, "api_version"), "api_version means nothing here", hint)

    def check_references(self, config: OperatorConfig) -> None:
        """Every upstream named somewhere exists, and every request can reach one."""
        if config.default_upstream is not None:
            self._check_known(("default_upstream",), config.default_upstream, config.upstreams)
        elif not config.models:
            raise self._refuse(
                (),
                "neither default_upstream nor models is declared, so no request could be served",
                f"add default_upstream: {next(iter(config.upstreams))}",
            )
        for name, model in config.models.items():
            for index, target in enumerate(model.upstreams):
                path = ("models", name, "upstreams", index, "upstream")
                self._check_known(path, target.upstream, config.upstreams)

    def check_keys(self, tenants: Mapping[str, TenantConfig]) -> None:
        """Key names differ within a tenant, secrets everywhere."""
        secrets: dict[str, KeyPath] = {}
        for tenant_name, tenant in tenants.items():
            names: set[str] = set()
            for index, key in enumerate(tenant.keys):
                path = ("tenants", tenant_name, "keys", index)
                if key.name in names:
                    raise self._refuse(
                        (*path, "name"),
                        f"the key name {key.name} is used twice",
                        "give each key of a tenant its own name",
                    )
                names.add(key.name)
                if key.project is not None and key.project not in tenant.projects:
                    hint = suggest(key.project, tenant.projects)
                    raise self._refuse((*path, "project"), f"unknown project {key.project!r}", hint)
                self._check_secret((*path, "secret"), key.secret, secrets)

    def check_sizes(self, config: OperatorConfig) -> None:
        """Bounds that bound each other."""
        cache = config.cache
        if "max_entry_bytes" in cache.model_fields_set and cache.max_entry_bytes > cache.max_bytes:
            raise self._refuse(
                ("cache", "max_entry_bytes"),
                f"larger than the whole cache of {cache.max_bytes} bytes",
                "raise cache.max_bytes or lower cache.max_entry_bytes",
            )

    def check_identity(self, config: OperatorConfig) -> None:
        """URLs of https alone, but on this machine; nothing behind a host that is not compared."""
        identity = config.identity
        if identity.public_url is not None and not is_origin(identity.public_url):
            hint = "write scheme, host and port only, such as https://apex.example.com"
            raise self._refuse(("identity", "public_url"), "not an https origin", hint)
        for name, issuer in identity.issuers.items():
            if not is_safe_url(issuer.issuer):
                hint = "write it as its discovery document does: https://accounts.google.com"
                raise self._refuse(("identity", "issuers", name, "issuer"), "no https URL", hint)

    def _check_secret(self, path: KeyPath, secret: str | None, seen: dict[str, KeyPath]) -> None:
        if secret is None:
            return
        if secret in seen:
            raise self._refuse(
                path,
                f"the same secret as {format_path(seen[secret])}",
                "a secret identifies one key: make another with openssl rand -hex 32",
            )
        seen[secret] = path

    def _check_known(self, path: KeyPath, name: str, known: Iterable[str]) -> None:
        if name not in known:
            raise self._refuse(path, f"unknown upstream {name!r}", suggest(name, known))

    def _check_base_url(self, path: KeyPath, url: str, is_private_allowed: bool) -> str:
        try:
            return check_base_url(url, allows_private=is_private_allowed)
        except BaseUrlError as error:
            raise self._refuse(path, error.message, error.hint) from None

    def _refuse(self, path: KeyPath, message: str, hint: str) -> ConfigError:
        return refuse_at(self._document, path, message, hint)


def is_safe_url(url: str) -> bool:
    """Whether what is sent there can be read on no network: https, or http on this machine."""
    try:
        parts = urlsplit(url)
        is_url = bool(parts.hostname) and parts.port != 0 and url.isascii() and url.isprintable()
    except ValueError:
        return False
    if not is_url or "@" in parts.netloc or {" ", "#", "?", "\\"} & set(url):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))


def is_origin(url: str) -> bool:
    """Whether a URL is safe and ends behind host and port."""
    return is_safe_url(url) and urlsplit(url).path == ""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
