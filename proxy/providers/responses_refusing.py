"""How the translation from Responses to chat refuses; raised by the responses_* files beside it."""

from proxy.providers.translation import UntranslatableError

HINT = (
    "Use a model whose upstream speaks /v1/responses itself; this one is reached over chat "
    "completions, where nothing is kept and no tool runs at the provider."
)


def refusal(what: str, param: str) -> UntranslatableError:
    """Make the error; `what` says in a sentence what cannot be said in chat."""
    return UntranslatableError(what, HINT, param=param)


def malformed(param: str, expected: str) -> UntranslatableError:
    """Make the error for what is no valid request in either dialect."""
    return UntranslatableError(
        f"{param} must be {expected}.", "See the API reference of /v1/responses.", param=param
    )
