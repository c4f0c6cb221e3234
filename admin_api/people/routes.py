"""THE list of the routes by which people come in and out; app.py adds them."""

from admin_api.people import login_routes, session_routes, token_routes, totp_routes
from admin_api.people.guard import AuthRoute
from admin_api.people.state import People

AUTH_ROUTES = (
    AuthRoute("GET", "/auth/login", login_routes.start_login, "anybody"),
    AuthRoute("GET", "/auth/callback", login_routes.finish, "anybody"),
    AuthRoute("GET", "/auth/session", session_routes.show_session, "session"),
    AuthRoute("POST", "/auth/logout", session_routes.log_out, "session"),
    AuthRoute("POST", "/auth/totp", totp_routes.start, "session"),
    AuthRoute("POST", "/auth/totp/verify", totp_routes.verify, "session"),
    AuthRoute("DELETE", "/auth/totp", totp_routes.take_away, "whole session"),
    AuthRoute("POST", "/auth/token", token_routes.grant, "whole session"),
    AuthRoute("POST", "/auth/token/refresh", token_routes.renew, "anybody"),
    AuthRoute("POST", "/auth/token/revoke", token_routes.revoke, "anybody"),
    AuthRoute("GET", "/.well-known/jwks.json", token_routes.show_keys, "anybody"),
)
DEV_ROUTES = (AuthRoute("POST", "/auth/dev/login", login_routes.dev_login, "anybody"),)


def auth_routes(people: People) -> tuple[AuthRoute, ...]:
    """Those served here: a development login is no route at all anywhere else."""
    return AUTH_ROUTES + (DEV_ROUTES if people.has_dev_login else ())
