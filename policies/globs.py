"""Names in which `*` stands for any text, as one expression; of policies and of keys. Pure."""

import re
from functools import lru_cache

MOST_KEPT = 4096


@lru_cache(MOST_KEPT)
def pattern_of(names: tuple[str, ...]) -> re.Pattern[str]:
    """For `fullmatch`. Only `*` is special: names of fine-tuned models have brackets and more."""
    globs = (".*".join(map(re.escape, name.split("*"))) for name in names)
    return re.compile("|".join(globs), re.DOTALL)
