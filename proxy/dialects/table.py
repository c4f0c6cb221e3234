"""Every inbound dialect, and the paths they are spoken at. Read by routes.py and the docs."""

from proxy.dialects.chat import CHAT, EMBEDDINGS
from proxy.dialects.completions import COMPLETIONS
from proxy.dialects.dialect import Dialect
from proxy.dialects.gemini import GEMINI, GEMINI_BATCH_EMBED, GEMINI_COUNT, GEMINI_EMBED
from proxy.dialects.messages import COUNT_TOKENS, MESSAGES
from proxy.dialects.responses import INPUT_TOKENS, RESPONSES

# POST only.
OPENAI_PATHS: dict[str, Dialect] = {
    "/v1/chat/completions": CHAT,
    "/v1/embeddings": EMBEDDINGS,
    "/v1/responses": RESPONSES,
    "/v1/responses/input_tokens": INPUT_TOKENS,
    "/v1/completions": COMPLETIONS,
    "/v1/messages": MESSAGES,
    "/v1/messages/count_tokens": COUNT_TOKENS,
}
# Below /openai/deployments/{model}/.
AZURE_OPERATIONS: dict[str, Dialect] = {
    "chat/completions": CHAT,
    "embeddings": EMBEDDINGS,
    "completions": COMPLETIONS,
}
# Behind the colon of /v1beta/models/{model}:{verb}.
GEMINI_VERBS: dict[str, Dialect] = {
    "generateContent": GEMINI,
    "streamGenerateContent": GEMINI,
    "countTokens": GEMINI_COUNT,
    "embedContent": GEMINI_EMBED,
    "batchEmbedContents": GEMINI_BATCH_EMBED,
}
DIALECTS: dict[str, Dialect] = {
    each.endpoint: each for each in (*OPENAI_PATHS.values(), *GEMINI_VERBS.values())
}
