"""Pico-USD as text and back: exact decimal dollars, never a float (pure).

Used by ledger.usage and ledger.conservation, and by whatever shows an amount.
"""

from collections.abc import Mapping

PICO = 10**12
# Sums are taken in two halves: the light engine has no type wider than Int64. Each half of an
# amount stays below 10^10, so a sum of either is exact up to 9 * 10^8 rows of the largest amounts.
SPLIT = 10**9


def usd_text(picousd: int) -> str:
    """Plain decimal dollars without trailing zeros: 1_500_000_000_000 is "1.5"."""
    if picousd < 0:
        return f"-{usd_text(-picousd)}"
    whole, rest = divmod(picousd, PICO)
    return f"{whole}.{rest:012d}".rstrip("0") if rest else str(whole)


def sum_columns(expression: str, name: str) -> str:
    """SQL for the two halves of an exact sum of a nullable Int64 expression."""
    return (
        f"sum(intDiv({expression}, {SPLIT})) AS {name}_high, "
        f"sum(modulo({expression}, {SPLIT})) AS {name}_low"
    )


def summed(row: Mapping[str, int | None], name: str) -> int:
    """The exact sum from both halves; nothing but NULLs sums to 0."""
    return (row[f"{name}_high"] or 0) * SPLIT + (row[f"{name}_low"] or 0)
