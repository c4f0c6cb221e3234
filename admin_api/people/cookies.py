"""A person's cookies: the session, and what binds a login to the browser it began in.

`__Host-` makes browsers refuse them but from this very host over https; on plain http, which
only development on one machine has, they have other names, so that none passes for the other.
"""

from aiohttp import web

from admin_api.people.state import People

SESSION, LOGIN = "session", "login"
NAMES = {
    True: {SESSION: "__Host-apex_session", LOGIN: "__Host-apex_login"},
    False: {SESSION: "apex_dev_session", LOGIN: "apex_dev_login"},
}


def read_cookie(request: web.Request, people: People, kind: str) -> str:
    """The value a browser brings, "" for none."""
    return request.cookies.get(NAMES[people.is_secure][kind], "")


def set_cookie(
    response: web.Response, people: People, kind: str, value: str, max_age_s: int
) -> None:
    """Hand a secret to a browser; "" takes it back."""
    response.set_cookie(
        NAMES[people.is_secure][kind],
        value,
        max_age=max_age_s if value else 0,
        path="/",
        httponly=True,
        secure=people.is_secure,
        samesite="Lax",
    )
