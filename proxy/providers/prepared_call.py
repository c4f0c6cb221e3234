"""A call to a provider, ready for our own wire client; made by bedrock.py and litellm_door.py."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PreparedCall:
    """One POST. `url` is encoded already: a signature covers it, so nothing may requote it."""

    url: str
    headers: dict[str, str] = field(repr=False)
    body: bytes
