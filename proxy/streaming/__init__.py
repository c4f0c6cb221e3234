"""Server-sent events: framing, the side reader of a stream, and stored answers as streams."""
