"""YAML read into plain data that still knows the line of every key, for errors that name it.

Called by config.operator and by the policies' loader; config.validating goes on from there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from config.errors import ConfigError

KeyPath = tuple[str | int, ...]

MAX_BYTES = 1_048_576
# Aliases let a small file describe an enormous one.
MAX_NODES = 100_000
MAX_DEPTH = 40

_MERGE_TAG = "tag:yaml.org,2002:merge"
_TEXT_TAG = "tag:yaml.org,2002:str"


@dataclass(frozen=True, slots=True)
class LocatedDocument:
    """Plain data, the name it is known by in errors, and the 1-based line of each key path."""

    data: Any
    source: str
    lines: dict[KeyPath, int]

    def find_path(self, path: KeyPath) -> KeyPath:
        """The longest beginning of `path` that the document holds."""
        while path not in self.lines:
            path = path[:-1]
        return path

    def locate(self, path: KeyPath) -> str:
        """`file:line` of the key path, or of the nearest one above it that the document holds."""
        return f"{self.source}:{self.lines[self.find_path(path)]}"


def format_path(path: KeyPath) -> str:
    """`models.gpt-4o.upstreams[1].price`, as errors and docs write a key path."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".") or "the document"


def read_yaml(path: Path, hint: str) -> LocatedDocument:
    """Read and parse a file; ConfigError, with `hint` when the file itself cannot be read."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint) from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_BYTES} bytes", hint)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: not UTF-8 text", "save the file as UTF-8") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, source: str) -> LocatedDocument:
    """Parse one YAML document; ConfigError names source and line of what YAML itself forbids.

    Duplicate keys, keys that are no text and merge keys are refused. An empty text is None.
    """
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        reader = _Reader(source, loader.construct_object)
        data = None if root is None else reader.read(root, ())
    except yaml.MarkedYAMLError as error:
        raise _explain(error, source) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"{source}:{line}: not valid YAML: the character {error.character:#x} is not allowed",
            "remove it, or write it as an escape within double quotes",
        ) from error
    except RecursionError as error:
        raise ConfigError(f"{source}: nested beyond measure", "write it out flatter") from error
    return LocatedDocument(data, source, {(): 1, **reader.lines})


class _Reader:
    """Walks composed nodes into plain data, noting where each key path stands."""

    def __init__(self, source: str, construct: Callable[[yaml.Node], Any]) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._source = source
        self._construct = construct

    def read(self, node: yaml.Node, path: KeyPath) -> Any:
        if len(path) > MAX_DEPTH or len(self.lines) > MAX_NODES:
            raise self._refuse(node, "nested or repeated beyond measure", "write it out flatter")
        if isinstance(node, yaml.MappingNode):
            return self._read_mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return self._read_sequence(node, path)
        try:
            return self._construct(node)
        except ValueError as error:  # a date that is none, such as 2026-02-30
            raise self._refuse(node, str(error), "put the value in quotes") from error

    def _read_mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._read_key(key_node)
            inner = (*path, key)
            if key in mapping:
                raise self._refuse(
                    key_node,
                    f"{format_path(inner)} is written twice, first in line {self.lines[inner]}",
                    "keep one of the two",
                )
            self.lines[inner] = _line_of(key_node)
            mapping[key] = self.read(value_node, inner)
        return mapping

    def _read_key(self, node: yaml.Node) -> str:
        if node.tag == _MERGE_TAG:
            raise self._refuse(node, "merge keys (<<) are not supported", "write the keys out")
        if not isinstance(node, yaml.ScalarNode) or node.tag != _TEXT_TAG:
            shown = node.value if isinstance(node, yaml.ScalarNode) else "a list or mapping"
            raise self._refuse(
                node, f"the key {shown} is not text to YAML", f'put it in quotes: "{shown}":'
            )
        return str(node.value)

    def _read_sequence(self, node: yaml.SequenceNode, path: KeyPath) -> list[Any]:
        items = []
        for index, item in enumerate(node.value):
            self.lines[*path, index] = _line_of(item)
            items.append(self.read(item, (*path, index)))
        return items

    def _refuse(self, node: yaml.Node, message: str, hint: str) -> ConfigError:
        return ConfigError(f"{self._source}:{_line_of(node)}: {message}", hint)


def _line_of(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _explain(error: yaml.MarkedYAMLError, source: str) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    where = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else source
    hint = (
        "check the indentation and brackets there; indent with spaces; quote text that holds ': '"
    )
    return ConfigError(f"{where}: not valid YAML: {error.problem or error.context}", hint)
