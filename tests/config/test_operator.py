"""apex.yaml as a whole: the built-in default, the example, and every refusal with its line."""

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.operator import (
    OperatorConfig,
    describe_config,
    is_loopback,
    is_safe_url,
    load_operator_config,
)
from config.yaml_loading import parse_yaml

EXAMPLE = Path(__file__).parents[2] / "apex.example.yaml"
ENVIRON = {"OPENAI_API_KEY": "sk-o", "ANTHROPIC_API_KEY": "sk-a", "ACME_KEY": "k" * 32}
MOCK = "upstreams: {mock: {kind: mock}}\ndefault_upstream: mock\n"


def load(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> OperatorConfig:
    path = tmp_path / "apex.yaml"
    path.write_text(text)
    return load_operator_config(path, ENVIRON if environ is None else environ)


def refuse(tmp_path: Path, text: str) -> tuple[str, str]:
    """The message without the directory, and the hint."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    return caught.value.message.replace(f"{tmp_path}/", ""), caught.value.hint


def test_built_in_default_is_openai_with_a_key() -> None:
    config = load_operator_config(None, {"OPENAI_API_KEY": "sk-o"})
    upstream = config.upstreams["openai"]
    assert config.default_upstream == "openai"
    assert (upstream.kind, upstream.api_key) == ("openai", "sk-o")
    assert upstream.base_url == "https://api.openai.com/v1"
    assert (config.models, config.tenants) == ({}, {})


@pytest.mark.parametrize("environ", [{}, {"OPENAI_API_KEY": " "}])
def test_built_in_default_is_the_mock_without_one(environ: dict[str, str]) -> None:
    config = load_operator_config(None, environ)
    assert config.default_upstream == "mock"
    assert list(config.upstreams) == ["mock"]


def test_a_bad_built_in_key_is_explained() -> None:
    with pytest.raises(ConfigError, match="OPENAI_API_KEY holds a blank"):
        load_operator_config(None, {"OPENAI_API_KEY": "sk one"})


def test_a_file_without_upstreams_gets_the_built_in_one(tmp_path: Path) -> None:
    config = load(tmp_path, "models: {m: {upstreams: [openai]}}")
    assert config.default_upstream == "openai"
    assert list(config.models) == ["m"]
    assert load(tmp_path, "", {}).default_upstream == "mock"


def test_example_loads() -> None:
    config = load_operator_config(EXAMPLE, ENVIRON)
    assert config.upstreams["openai"].api_key == "sk-o"
    assert config.upstreams["local"].allow_private
    assert [target.upstream for target in config.models["gpt-4o"].upstreams] == ["openai", "local"]
    assert config.tenants["acme"].keys[0].secret == "k" * 32
    assert config.timeouts.total_s == 600


def test_example_needs_the_variables_it_names() -> None:
    for name in ENVIRON:
        environ = {key: value for key, value in ENVIRON.items() if key != name}
        with pytest.raises(ConfigError, match=rf"apex.example.yaml:\d+: .*variable {name} is not"):
            load_operator_config(EXAMPLE, environ)


def test_example_shows_every_key_with_a_comment() -> None:
    text = EXAMPLE.read_text()
    for key, _, _ in describe_config():
        assert f"{key.rpartition('.')[2].removesuffix('[]')}:" in text, key


def test_example_shows_the_true_defaults() -> None:
    """Commented sections of defaults, uncommented, change nothing."""
    lines = EXAMPLE.read_text().splitlines()
    start = lines.index("# limits:")
    prose = ("# The exact", "# Estimates", "# How people")
    text = "\n".join(
        line if line.startswith(prose) else line.removeprefix("# ") for line in lines[start:]
    )
    context = {"environ": {"GOOGLE_CLIENT_SECRET": "x"}}
    data = parse_yaml(text, "x").data
    shown, true = OperatorConfig.model_validate(data, context=context), OperatorConfig()
    assert (shown.limits, shown.cache) == (true.limits, true.cache)
    assert shown.estimates == true.estimates
    declared = {"public_url", "issuers"}
    assert shown.identity.model_dump(exclude=declared) == true.identity.model_dump(exclude=declared)
    assert shown.identity.issuers["google"].algorithms == ("RS256",)


def test_every_key_is_described() -> None:
    rows = describe_config()
    assert len({key for key, _, _ in rows}) == len(rows)
    assert all(meaning.endswith(".") for _, _, meaning in rows)
    assert ("timeouts.connect_s", "5", "Seconds to open a connection.") in rows


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            "upstreams:\n  a: {kind: opnai}\n",
            "apex.yaml:2: upstreams.a.kind: unknown kind 'opnai'",
            "did you mean openai?",
        ),
        (
            "upstreams:\n  a: {kind: openai}\n",
            "apex.yaml:2: upstreams.a: api_key is missing",
            "env:OPENAI_API_KEY",
        ),
        (
            f"{MOCK}models:\n  m:\n    upstreams: [mokc]\n",
            "apex.yaml:5: models.m.upstreams[0].upstream: unknown upstream 'mokc'",
            "did you mean mock?",
        ),
        (
            "upstreams: {mock: {kind: mock}}\ndefault_upstream: mokc\n",
            "apex.yaml:2: default_upstream: unknown upstream 'mokc'",
            "did you mean mock?",
        ),
        (
            "upstreams: {mock: {kind: mock}}\n",
            "apex.yaml:1: neither default_upstream nor models",
            "add default_upstream: mock",
        ),
        (
            f"{MOCK}tenants:\n  t:\n    keys:\n    - {{name: a}}\n    - {{name: a}}\n",
            "apex.yaml:7: tenants.t.keys[1].name: the key name a is used twice",
            "its own name",
        ),
        (
            f"{MOCK}tenants:\n  t: {{keys: [{{name: a, secret: 'env:ACME_KEY'}}]}}\n"
            "  u: {keys: [{name: a, secret: 'env:ACME_KEY'}]}\n",
            "apex.yaml:5: tenants.u.keys[0].secret: the same secret as tenants.t.keys[0].secret",
            "openssl",
        ),
        (
            f"{MOCK}cache: {{max_bytes: 10, max_entry_bytes: 20}}\n",
            "apex.yaml:3: cache.max_entry_bytes: larger than the whole cache",
            "raise cache.max_bytes",
        ),
        (f"{MOCK}tenant: {{}}\n", "apex.yaml:3: unknown key tenant", "did you mean tenants?"),
    ],
)
def test_refusals(tmp_path: Path, text: str, message: str, hint: str) -> None:
    shown = refuse(tmp_path, text)
    assert shown[0].startswith(message)
    assert hint in shown[1]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://host/v1", "not an http(s) URL"),
        ("host/v1", "not an http(s) URL"),
        ("https:///v1", "not an http(s) URL"),
        ("https://host:port/v1", "not an http(s) URL"),
        ("https://ho st/v1", "not an http(s) URL"),
        ("https://user:pass@host/v1", "no user, query or fragment"),
        ("https://host/v1?key=1", "no user, query or fragment"),
        ("https://host/v1#x", "no user, query or fragment"),
        ("http://api.example.com/v1", "plain http"),
        ("https://localhost/v1", "not a public address"),
        ("https://10.0.0.1/v1", "not a public address"),
        ("https://[::1]/v1", "not a public address"),
        ("https://169.254.169.254/v1", "not a public address"),
        ("https://[::ffff:10.0.0.1]/v1", "not a public address"),
        ("https://metadata.google.internal/v1", "not a public address"),
    ],
)
def test_base_urls_that_are_refused(tmp_path: Path, url: str, message: str) -> None:
    """trust.md B6 on SSRF, as far as the text tells."""
    text = f"upstreams:\n  a: {{kind: openai, api_key: k, base_url: '{url}'}}\n"
    shown, hint = refuse(tmp_path, text)
    assert shown.startswith("apex.yaml:2: upstreams.a.base_url: ")
    assert message in shown
    assert hint
    assert "pass" not in shown


def test_private_servers_are_allowed_when_declared(tmp_path: Path) -> None:
    text = (
        "upstreams: {a: {kind: openai, base_url: 'http://127.0.0.1:9101/v1/', allow_private: true}}"
        "\ndefault_upstream: a\n"
    )
    upstream = load(tmp_path, text).upstreams["a"]
    assert (upstream.base_url, upstream.api_key) == ("http://127.0.0.1:9101/v1", None)


def test_other_kinds_know_their_address(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        "upstreams: {b: {kind: bedrock, region: us-east-1, api_key: k}}\ndefault_upstream: b",
    )
    assert config.upstreams["b"].base_url is None


def test_missing_file_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_operator_config(tmp_path / "none.yaml", {})
    assert "APEX_CONFIG" in caught.value.hint


@pytest.mark.parametrize(
    ("declared", "message", "hint"),
    [
        ("{kind: azure, api_key: k}", "kind azure needs a base_url", "RESOURCE.openai.azure.com"),
        ("{kind: bedrock, api_key: k}", "kind bedrock needs a region", "region: us-east-1"),
        ("{kind: anthropic}", "api_key is missing", "env:ANTHROPIC_API_KEY"),
        ("{kind: openai, api_key: k, api_version: '1'}", "api_version means", "only kind azure"),
    ],
)
def test_what_could_only_fail_at_the_first_call_is_refused_at_the_start(
    tmp_path: Path, declared: str, message: str, hint: str
) -> None:
    said, hinted = refuse(tmp_path, f"upstreams: {{u: {declared}}}\ndefault_upstream: u\n")
    assert message in said
    assert hint in hinted


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104  not bound here
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
    ],
)
def test_which_hosts_only_this_machine_reaches(host: str, is_local: bool) -> None:
    assert is_loopback(host) is is_local


@pytest.mark.parametrize(
    ("url", "is_safe"),
    [
        ("https://accounts.google.com", True),
        ("https://login.example.com:8443/realms/a", True),
        ("http://127.0.0.1:9000", True),
        ("http://localhost:9000/x", True),
        ("http://accounts.google.com", False),
        ("http://localhost.example.com", False),
        ("https://", False),
        ("https://user@example.com", False),
        ("https://example.com/a?b", False),
        ("https://example.com/#a", False),
        ("https://example.com\\a", False),
        ("https://example.com:0", False),
        ("https://example.com:x", False),
        ("ftp://example.com", False),
        ("javascript:alert(1)", False),
        ("https://exämple.com", False),
        ("", False),
    ],
)
def test_which_urls_nobody_reads_along(url: str, is_safe: bool) -> None:
    assert is_safe_url(url) is is_safe


def test_identity_defaults_are_the_documented_ones(tmp_path: Path) -> None:
    identity = load(tmp_path, MOCK).identity
    assert (identity.session_idle_s, identity.session_s) == (7200, 43_200)
    assert (identity.access_token_s, identity.refresh_token_s) == (900, 2_592_000)
    assert (identity.sign_up, identity.issuers, identity.public_url) == ("open", {}, None)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{public_url: 'http://apex.example.com'}", "identity.public_url: not an https origin"),
        ("{public_url: 'https://apex.example.com/a'}", "identity.public_url: not an https origin"),
        (
            "{issuers: {x: {issuer: 'http://x.example.com', client_id: a, client_secret: b}}}",
            "identity.issuers.x.issuer: no https URL",
        ),
        (
            "{issuers: {x: {issuer: 'https://x.example.com', client_id: a, client_secret: b, "
            "algorithms: [HS256]}}}",
            "identity.issuers.x.algorithms",
        ),
        ("{access_token_s: 901}", "identity.access_token_s"),
    ],
)
def test_an_identity_section_that_is_not_safe_is_refused(
    tmp_path: Path, section: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"{MOCK}identity: {section}\n")
    assert said in caught.value.message


def test_an_issuer_takes_its_secret_from_the_environment(tmp_path: Path) -> None:
    text = (
        f"{MOCK}identity: {{issuers: {{google: {{issuer: 'https://accounts.google.com', "
        "client_id: me, client_secret: env:GOOGLE_SECRET}}}\n"
    )
    identity = load(tmp_path, text, {"GOOGLE_SECRET": "very-secret"}).identity
    assert identity.issuers["google"].client_secret == "very-secret"
    assert identity.issuers["google"].algorithms == ("RS256",)
    assert "very-secret" not in repr(identity)
