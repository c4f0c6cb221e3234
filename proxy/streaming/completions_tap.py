"""Reads a legacy text_completion stream on the side; proxy.stream_reply's tap for completions.

Its frame is chat's: choices with an index and a finish_reason, one chunk of usage alone that is
left out for callers who did not ask, `[DONE]` at the end. What differs (`text` for `delta`) is
content, and no tap reads content.
"""

from proxy.streaming.tap import ChatStreamTap


class CompletionsTap(ChatStreamTap):
    """The state of one legacy stream as seen so far."""
