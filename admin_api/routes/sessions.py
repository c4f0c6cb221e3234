"""/admin/v1/sessions: where the caller is signed in; and the change of keys that sign tokens."""

from pydantic import BaseModel, Field

from admin_api.calls import Answer, Call, Route, Strict
from admin_api.changes import change
from admin_api.errors import AdminError
from admin_api.people.moments import moment_of
from admin_api.people.sessions import ID_CHARACTERS, Row, list_sessions, revoke_session
from admin_api.people.signing_keys import rotate
from admin_api.permissions import Permission
from admin_api.resource_fields import Moment


class Session(BaseModel):
    """A session of the caller's; its id opens nothing."""

    session_id: str
    has_second_factor: bool
    created_at: Moment
    seen_at: Moment
    expires_at: Moment


class Sessions(BaseModel):
    """All that live."""

    items: list[Session]


class Rotation(Strict):
    """A change of the signing key."""

    revoke: bool = Field(
        default=False, description="The keys of before may be known to others: void all tokens."
    )


class SigningKey(BaseModel):
    """The key that signs from now on."""

    key_id: str


async def list_own(call: Call) -> Answer:
    async with call.context.sql.connect() as connection:
        rows = await list_sessions(connection, call.context.people, call.actor.user_id)
    return Answer(Sessions(items=[session_of(row) for row in rows]))


async def end_own(call: Call) -> Answer:
    """Those of others are not even said to exist."""
    session_id = call.path["id"]
    async with change(call, "session.revoke", f"sessions/{session_id[:64]}") as under_way:
        connection = under_way.connection
        rows = await list_sessions(connection, call.context.people, call.actor.user_id)
        found = [row for row in rows if row["session_hash"][:ID_CHARACTERS] == session_id]
        if not found:
            hint = "GET /admin/v1/sessions lists yours"
            raise AdminError(404, "unknown_session", "there is no such session of yours", hint)
        under_way.before = session_of(found[0]).model_dump(mode="json")
        now = moment_of(call.context.clock.now())
        await revoke_session(connection, found[0]["session_hash"], now)
    return Answer(status=204)


async def rotate_keys(call: Call) -> Answer:
    async with change(call, "signing_key.rotate", "signing-keys") as under_way:
        key_id, _ = await rotate(
            under_way.connection, call.context.people, is_revoking=call.body.revoke
        )
        under_way.after = {"key_id": key_id, "revoke": call.body.revoke}
    return Answer(SigningKey(key_id=key_id), status=201)


def session_of(row: Row) -> Session:
    values = {name: row[name] for name in Session.model_fields if name != "session_id"}
    return Session.model_validate({**values, "session_id": row["session_hash"][:ID_CHARACTERS]})


P = Permission
ROUTES = (
    Route("GET", "/admin/v1/sessions", list_own, P.sign_in, "List your sessions", answer=Sessions),
    Route("DELETE", "/admin/v1/sessions/{id}", end_own, P.sign_in, "End one of your sessions"),
    Route("POST", "/admin/v1/signing-keys", rotate_keys, P.operate,
          "Sign people's tokens with a new key", body=Rotation, answer=SigningKey),
)  # fmt: skip
