"""Every inbound dialect, and the paths they are spoken at. Read by routes.py and the docs."""

from proxy.dialects.chat import CHAT, EMBEDDINGS
from proxy.dialects.dialect import Dialect

DIALECTS: dict[str, Dialect] = {each.endpoint: each for each in (CHAT, EMBEDDINGS)}

# Below /v1/, by the whole rest of the path; POST only.
OPENAI_PATHS: dict[str, Dialect] = {
    "chat/completions": CHAT,
    "embeddings": EMBEDDINGS,
}
# Below /openai/deployments/{model}/.
AZURE_OPERATIONS: dict[str, Dialect] = {
    "chat/completions": CHAT,
    "embeddings": EMBEDDINGS,
}
# Behind the colon of /v1beta/models/{model}:{verb}.
GEMINI_VERBS: dict[str, Dialect] = {}
