"""What the control process knows about people beside SQL: providers, keys, counted attempts.

Made by roles/control.py, which hands over apex.yaml's identity section at each reload.
"""

from aiohttp import web

from admin_api.people.attempts import Attempts
from admin_api.people.oidc import Issuer
from config.clock import Clock
from config.errors import ConfigError
from config.operator import IdentityConfig, is_loopback
from config.secrets import KeyRing
from config.settings import Settings

CODES_IN_A_ROW = 5
CODES_PERIOD_S = 300.0


class People:
    """One per control process."""

    def __init__(self, settings: Settings, key_ring: KeyRing, clock: Clock) -> None:
        self.settings = settings
        self.key_ring = key_ring
        self.clock = clock
        self.identity = IdentityConfig()
        self.issuers: dict[str, Issuer] = {}
        self.attempts = Attempts(clock, self.identity.attempts_per_minute, 60.0)
        self.codes = Attempts(clock, CODES_IN_A_ROW, CODES_PERIOD_S)

    def check(self, identity: IdentityConfig) -> None:
        """Refuse what would be read along on the way. ConfigError."""
        if self.settings.environment != "development":
            _refuse_plain(identity)

    def take(self, identity: IdentityConfig) -> None:
        """Bring it in line with apex.yaml; what did not change keeps its caches. ConfigError."""
        self.check(identity)
        issuers = {}
        for name, config in identity.issuers.items():
            known = self.issuers.get(name)
            is_same = known is not None and known.config == config
            issuers[name] = known if known and is_same else Issuer(config, self.clock)
        self.issuers = issuers
        self.attempts.most = identity.attempts_per_minute
        self.identity = identity

    @property
    def has_dev_login(self) -> bool:
        """Whether anybody on this machine may say who they are."""
        return self.settings.environment == "development" and is_loopback(self.settings.host)

    @property
    def needs_second_factor(self) -> bool:
        """Whether everybody has to have one; without, those who want one."""
        return self.settings.environment == "production"

    def origin(self, request: web.Request) -> str:
        """Scheme, host and port as browsers know them; never taken from what a request says."""
        if self.identity.public_url:
            return self.identity.public_url
        transport = request.transport
        port = transport.get_extra_info("sockname")[1] if transport else self.settings.admin_port
        return f"http://127.0.0.1:{port}"

    @property
    def is_secure(self) -> bool:
        """Whether browsers come by https; plain http is for development on one machine."""
        is_https = (self.identity.public_url or "").startswith("https://")
        return is_https or self.settings.environment != "development"


def _refuse_plain(identity: IdentityConfig) -> None:
    urls = {
        f"identity.issuers.{name}.issuer": each.issuer for name, each in identity.issuers.items()
    }
    if identity.issuers and not identity.public_url:
        hint = "write https://HOST, as browsers reach the admin port"
        raise ConfigError("identity.public_url is missing", hint)
    if identity.public_url:
        urls["identity.public_url"] = identity.public_url
    for key, url in urls.items():
        if not url.startswith("https://"):
            raise ConfigError(f"{key} is not https", "plain http is for development alone")
