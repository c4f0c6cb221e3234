"""The admin API's token: from the environment, or in development made once and kept in the home.

Read by the control process, by the supervisor for its banner and by the command line's verbs.
"""

import secrets

from config.errors import ConfigError
from config.files import create_exclusively
from config.settings import Settings
from roles.places import admin_token_path


def load_admin_token(settings: Settings) -> str:
    """The token; makes {home}/admin.token (mode 0600) when nothing sets one. ConfigError."""
    if settings.admin_token is not None:
        return settings.admin_token
    path = admin_token_path(settings)
    try:
        create_exclusively(path, f"apex_admin_{secrets.token_urlsafe(32)}\n".encode(), mode=0o600)
        return path.read_text().strip()
    except OSError as error:
        raise ConfigError(
            f"the admin token {path} cannot be used: {error.strerror}",
            "make APEX_HOME a directory this user can write, or set APEX_ADMIN_TOKEN",
        ) from error
