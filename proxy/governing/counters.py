"""What the governor asks of an engine that counts; there are two of them."""

from typing import Protocol

from proxy.governing.claims import Correction, Hold, Verdict


class Counters(Protocol):
    """Counts claims: all of a hold or none of it."""

    async def reserve(self, hold: Hold) -> Verdict:
        """Claim at once everything a hold names, unless one of its limits would be passed."""

    def settle(self, hold: Hold, corrections: list[Correction]) -> None:
        """Give back places, and put right what was claimed too much or too little."""

    def seed(self, tenant: str, counter: str, picousd: int, end_s: float) -> None:
        """Take in what a period has cost before this process started; may be told again."""

    def sweep(self) -> None:
        """Forget what has run out; called each second."""
