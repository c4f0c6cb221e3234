"""Takes the provider's key out of its own error texts, which some providers quote it in.

Called wherever an upstream's error goes on to a caller, who must not learn the operator's key.
"""

LEAST_KEY_CHARACTERS = 8  # shorter ones are test keys, and may be any word
MARK = b"[key]"


def without_key(body: bytes, api_key: str) -> bytes:
    """The body of an error without the key that the call was made with."""
    if len(api_key) < LEAST_KEY_CHARACTERS:
        return body
    return body.replace(api_key.encode(), MARK)
