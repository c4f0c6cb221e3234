"""Writes the head of a request to an upstream, all but its length. Called by providers/calls.py."""

from multidict import CIMultiDict
from yarl import URL


def head_bytes(url: URL, headers: CIMultiDict[str]) -> bytes:
    """Write a POST's request line and headers; ValueError when a value would add a line."""
    lines = [f"POST {url.raw_path_qs} HTTP/1.1", f"Host: {url.host_port_subcomponent}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join(lines)
    breaks = len(lines) - 1
    if head.count("\n") != breaks or head.count("\r") != breaks or "\0" in head:
        raise ValueError("a header holds a line break or a NUL")
    return head.encode("utf-8", "surrogateescape") + b"\r\n"
