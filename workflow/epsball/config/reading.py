"""Read a configuration file: JSON or YAML, in which no key is given twice and no number is other than it looks."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from epsball.errors import EpsballError, did_you_mean

_LARGEST = 100_000  # values in a file, aliases resolved: nobody writes as many, and aliases of aliases give billions
_OCTAL = re.compile(r"[-+]?0[0-7_]+")


class _Loader(yaml.SafeLoader):
    """PyYAML's loader takes the last of two values, and 010 for 8, in silence; this one refuses them."""

    def construct_document(self, node: yaml.Node) -> Any:
        if _size(node, {}) > _LARGEST:
            raise EpsballError(f"it has more than {_LARGEST} values once its aliases (*) are resolved; write fewer")
        return super().construct_document(node)

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        """Construct a number that means the same to people as in YAML 1.1."""
        text, line = str(node.value), node.start_mark.line + 1
        is_integer = node.tag.endswith(":int")
        value = self.construct_yaml_int(node) if is_integer else self.construct_yaml_float(node)
        hint = "; or put it in quotes if it is text"
        if is_integer and _OCTAL.fullmatch(text):
            raise EpsballError(f"'{text}' in line {line} is {value} in YAML, in base 8; write {int(text)}{hint}")
        if ":" in text:
            raise EpsballError(f"'{text}' in line {line} is {value} in YAML, in base 60; write out the numbers{hint}")
        return value

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                line, name = key.start_mark.line + 1, (key.tag, key.value)
                if name in lines:
                    raise EpsballError(f"key '{key.value}' is given twice, in lines {lines[name]} and {line}; keep one")
                lines[name] = line
        return node


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_number)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_number)


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Return the number of values in a node, aliases resolved; more than the largest where it holds itself."""
    if id(node) not in known:
        known[id(node)] = _LARGEST
        parts = node.value if isinstance(node, yaml.CollectionNode) else ()
        inner = itertools.chain.from_iterable(parts) if isinstance(node, yaml.MappingNode) else parts
        known[id(node)] = 1 + sum(_size(part, known) for part in inner)
    return known[id(node)]


def read_yaml(path: Path) -> dict[str, Any]:
    """Read the keys of a configuration, unchecked.

    Raises:
        EpsballError: it cannot be read, is no YAML with keys, or has a key twice.
    """
    try:
        raw = _parse(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        beside = [str(other) for suffix in ("yaml", "yml") for other in sorted(path.parent.glob(f"*.{suffix}"))]
        hint = f"; {did_you_mean(str(path), beside)}" if beside and not path.exists() else ""
        raise EpsballError(f"configuration '{path}' cannot be read: {error.strerror}{hint}") from None
    except RecursionError:
        raise EpsballError(f"configuration '{path}' is nested too deeply; see config/README.md") from None
    except UnicodeDecodeError as error:
        raise EpsballError(f"configuration '{path}' is not text in UTF-8 ({error.reason})") from None
    except EpsballError as error:
        raise EpsballError(f"configuration '{path}': {error}") from None
    except (yaml.YAMLError, ValueError) as error:  # no day of the calendar, a number of thousands of digits
        reason = " ".join(str(error).split())
        hint = "; indent with spaces" if r"'\t'" in reason else ""
        raise EpsballError(f"configuration '{path}' is not YAML: {reason}{hint}") from None
    if not isinstance(raw, dict):
        raise EpsballError(f"configuration '{path}' holds no keys; see config/README.md")
    return raw


def _parse(text: str) -> Any:
    try:  # JSON first, as Snakemake does: it may be indented with tabs
        return json.loads(text, object_pairs_hook=_distinct)
    except ValueError:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader


def _distinct(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise EpsballError(f"key '{key}' is given twice; keep one")
    return dict(pairs)
