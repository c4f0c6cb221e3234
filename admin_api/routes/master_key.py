"""/admin/v1/master-key: what is still sealed under an older master key, and a step to change that.

`python main.py rotate-master-key` calls it until nothing remains.
"""

from pydantic import BaseModel, Field

from admin_api.calls import Answer, Call, Route
from admin_api.changes import change
from admin_api.permissions import Permission
from policies.rotation import Remaining, count_remaining, rotate_some


class MasterKeyState(BaseModel):
    """How far a rotation is; no key is ever shown."""

    key_id: str = Field(description="The master key in use.")
    key_ids: list[str] = Field(description="Those that are set, the one in use first.")
    done: int = Field(description="What this call moved to the key in use.")
    remaining: int = Field(description="0: the other keys are needed no more.")
    kept_keys: int
    data_keys: int
    rows: int


async def show(call: Call) -> Answer:
    async with call.context.sql.connect() as connection:
        remaining = await count_remaining(connection, call.context.key_ring)
    return Answer(_state(call, remaining, 0))


async def rotate(call: Call) -> Answer:
    context = call.context
    async with context.sql.connect() as connection:
        before = await count_remaining(connection, context.key_ring)
    if not before.total:
        return Answer(_state(call, before, 0))
    async with change(call, "master_key.rotate", "master-key") as under_way:
        now = context.clock.now()
        done = await rotate_some(under_way.connection, context.key_ring, now)
        after = await count_remaining(under_way.connection, context.key_ring)
        state = _state(call, after, done)
        under_way.before = _state(call, before, 0).model_dump(mode="json")
        under_way.after = state.model_dump(mode="json")
    return Answer(state)


def _state(call: Call, remaining: Remaining, done: int) -> MasterKeyState:
    ring = call.context.key_ring
    return MasterKeyState(
        key_id=ring.key_id,
        key_ids=list(ring.key_ids),
        done=done,
        remaining=remaining.total,
        kept_keys=remaining.kept_keys,
        data_keys=remaining.data_keys,
        rows=remaining.rows,
    )


P = Permission
ROUTES = (
    Route("GET", "/admin/v1/master-key", show, P.operate, "Show what older master keys still seal",
          answer=MasterKeyState),
    Route("POST", "/admin/v1/master-key/rotate", rotate, P.operate,
          "Move some of it to the master key in use", answer=MasterKeyState),
)  # fmt: skip
