"""Every inbound dialect by the name events and policies give it. Read by routes.py and the docs."""

from proxy.dialects.chat import CHAT, EMBEDDINGS
from proxy.dialects.dialect import Dialect

DIALECTS: dict[str, Dialect] = {each.endpoint: each for each in (CHAT, EMBEDDINGS)}
