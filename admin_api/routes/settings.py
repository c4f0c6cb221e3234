"""GET /admin/v1/settings: what the environment set, as it is in force; secrets stay out.

Only what is listed here is shown: a setting that comes later says no more than whether it is set.
"""

from urllib.parse import urlsplit

from pydantic import BaseModel, Field

from admin_api.calls import Answer, Call, Route
from admin_api.permissions import Permission
from config.settings import Settings, describe_settings

# Variable -> the attribute of Settings that is its value.
SHOWN = {
    "APEX_CONFIG": "config_path",
    "APEX_HOME": "home",
    "APEX_HOST": "host",
    "APEX_PROXY_PORT": "proxy_port",
    "APEX_ADMIN_PORT": "admin_port",
    "APEX_WORKERS": "workers",
    "APEX_ENVIRONMENT": "environment",
    "APEX_LOG_FORMAT": "log_format",
    "APEX_CLOCK_SCALE": "clock_scale",
}
# These may hold a password: shown without user, password and query.
SHOWN_AS_PLACES = {
    "APEX_SQL_URL": "sql_url",
    "APEX_COLUMNAR_URL": "columnar_url",
    "APEX_KV_URL": "kv_url",
}


class Setting(BaseModel):
    """One setting. `value` is null where it is not shown or there is none."""

    name: str
    value: str | None
    is_set: bool = Field(description="Whether the environment says it, or the default holds.")
    is_masked: bool = Field(description="Whether it is never shown, whatever it is.")
    default: str
    meaning: str


class AllSettings(BaseModel):
    """Every setting there is; they are changed in the environment, with a restart."""

    items: list[Setting]


async def list_settings(call: Call) -> Answer:
    settings = call.context.settings
    items = [_describe(settings, *each) for each in describe_settings()]
    return Answer(AllSettings(items=items))


def _describe(settings: Settings, name: str, default: str, meaning: str) -> Setting:
    is_masked = name not in SHOWN and name not in SHOWN_AS_PLACES
    return Setting(
        name=name,
        value=None if is_masked else _value_of(settings, name),
        is_set=bool(settings.environ.get(name, "").strip()),
        is_masked=is_masked,
        default=default,
        meaning=meaning,
    )


def _value_of(settings: Settings, name: str) -> str | None:
    if name in SHOWN:
        value = getattr(settings, SHOWN[name])
        return None if value is None else str(value)
    parts = urlsplit(getattr(settings, SHOWN_AS_PLACES[name]))
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


ROUTES = (
    Route("GET", "/admin/v1/settings", list_settings, Permission.operate, "List the settings",
          answer=AllSettings),
)  # fmt: skip
