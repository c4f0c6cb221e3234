"""Words, tokens and digests of the mock's answers; called by every module that makes content.

A token here is four characters, the last one of a text possibly fewer: cheap, exact, and never
splitting a character. It is the mock's own measure, in its usage as in its bill.
"""

import hashlib

CHARACTERS_PER_TOKEN = 4
_VOCABULARY = """
    amber anchor apple april arrow aspen autumn baker balcony bamboo barley basket beacon bell
    birch blanket blue boat border branch bread bridge bright brook butter cabin calm canal candle
    canyon carpet castle cedar chair chalk cherry circle city clay clear cliff clock cloud clover
    coast copper coral corner cotton cradle crane creek crystal daisy dawn deep deer desert door
    dream drift drum dune eagle early east echo elm ember evening falcon fern ferry field finch
    fire flag flint flower fog forest fountain fox frost garden gate gentle glacier glass golden
    grain granite grass green grove harbor harvest hawk hazel heron hill hollow honey horizon house
    island ivory ivy jade journey juniper kettle kite lake lamp lantern lark laurel leaf lemon
    letter light lily linen lively lotus maple marble march market meadow melon mill mint mirror
    mist moon morning moss mountain music needle nest night north oak oasis ocean olive orange
    orchard otter owl paint paper path pearl pebble pepper pine plain planet plum poem pond poplar
    prairie quartz quick quiet rain raven reed ridge ripple river road robin rose saddle saffron
    sail salt sand season shadow shell shore silk silver sky slate snow song south spark sparrow
    spring spruce star stone storm story stream street summer sun swan table tall thistle thunder
    tide timber tower trail train tree tulip valley velvet village violet voyage walnut warm water
    wave west wheat willow wind window winter wolf wonder wood wool yellow
"""
WORDS = tuple(_VOCABULARY.split())


def digest_of(*parts: bytes) -> bytes:
    """Hash the parts, order and borders included; 16 bytes."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        state.update(len(part).to_bytes(8, "little"))
        state.update(part)
    return state.digest()


def draw(seed: bytes, label: str, below: int) -> int:
    """Draw a number in [0, below) from the seed; the label keeps draws independent."""
    return int.from_bytes(digest_of(seed, label.encode())[:6], "little") % below


def count_tokens(text: str) -> int:
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def split_tokens(text: str) -> list[str]:
    step = CHARACTERS_PER_TOKEN
    return [text[start : start + step] for start in range(0, len(text), step)]


def first_tokens(text: str, tokens: int) -> str:
    return text[: tokens * CHARACTERS_PER_TOKEN]


def make_words(seed: bytes, count: int) -> str:
    """Make `count` readable words in sentences; the same seed gives the same text."""
    words = []
    is_start = True
    for byte in hashlib.shake_128(seed).digest(count):
        word = WORDS[byte % len(WORDS)]
        words.append(word.capitalize() if is_start else word)
        is_start = byte % 9 == 0
        if is_start:
            words[-1] += "."
    text = " ".join(words)
    return text if text.endswith(".") else text + "."


def make_tokens(seed: bytes, tokens: int) -> str:
    """Make a text of exactly `tokens` tokens."""
    # The shortest word and its blank are four characters: as many words always suffice.
    return first_tokens(make_words(seed, tokens + 1), tokens)
