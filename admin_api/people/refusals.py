"""What people are told when something is refused: the same words whatever the reason was.

The reason goes to the log, without anything of what was sent.
"""

import logging

from admin_api.errors import AdminError

_log = logging.getLogger(__name__)


class RefusedError(Exception):
    """A login that leads nowhere; the reason is for the log alone."""


def login_failed(reason: object) -> AdminError:
    """Somebody came to sign in and is not let in."""
    _log.warning("a login failed: %s", reason)
    hint = "begin again at /auth/login; if it keeps failing, the gateway's log has the reason"
    return AdminError(400, "login_failed", "the login could not be completed", hint)


def grant_refused(reason: object) -> AdminError:
    """A refresh token that gives nothing."""
    _log.warning("a refresh token was refused: %s", reason)
    hint = "sign in again, then POST /auth/token"
    return AdminError(400, "invalid_grant", "that refresh token is not good", hint)


def no_session() -> AdminError:
    hint = "sign in at /auth/login; a changing call also sends X-CSRF-Token, from /auth/session"
    return AdminError(401, "no_session", "this needs a session", hint)


def wrong_csrf() -> AdminError:
    hint = "send X-CSRF-Token with the csrf_token of GET /auth/session"
    return AdminError(403, "wrong_csrf_token", "the CSRF token is missing or wrong", hint)


def second_factor_needed() -> AdminError:
    hint = "POST /auth/totp/verify with a code; without an app enrolled yet, POST /auth/totp first"
    return AdminError(403, "second_factor_needed", "a one-time code is needed first", hint)


def too_many(wait_s: float) -> AdminError:
    hint = f"wait {max(1, round(wait_s))} s"
    return AdminError(429, "too_many_attempts", "too many attempts", hint)
