"""The demo tenant of a development gateway that declares no tenants, and its one API key.

Called by the snapshot builder. The key lies in a 0600 file so that a second start prints it again.
"""

from pathlib import Path

from config.errors import ConfigError
from config.files import create_exclusively
from policies.keys import generate_key, parse_key_id

DEMO_NAME = "demo"
DEMO_POLICY = "balanced"
DEMO_KEY_FILE = "demo.key"


def load_demo_key(home: Path) -> str:
    """The secret of the demo key, made at the first call. Raises ConfigError."""
    path = home / DEMO_KEY_FILE
    try:
        if not path.exists():
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            create_exclusively(path, f"{generate_key().secret}\n".encode(), mode=0o600)
        secret = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        raise ConfigError(
            f"the demo key {path} cannot be used: {error.strerror}",
            "make APEX_HOME a directory this user can write, or declare tenants in apex.yaml",
        ) from error
    if parse_key_id(secret) is None:
        raise ConfigError(f"{path} holds no API key", f"delete {path}: the next start makes a key")
    return secret
