"""Inline decisions, pure and synchronous: called by the proxy on every request."""
