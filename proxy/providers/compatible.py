"""Placeholder until merge."""


def is_compatible(kind: str) -> bool:
    return kind in {"mock", "groq"}


def base_url_of(kind: str) -> str:
    return ""


def serves(kind: str, endpoint: str) -> bool:
    return True
