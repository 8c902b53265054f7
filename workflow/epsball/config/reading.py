"""Read a configuration file: JSON or YAML, in which no key is given twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from epsball.errors import EpsballError, did_you_mean


class _Loader(yaml.SafeLoader):
    """PyYAML's loader takes the last of two values in silence; this one refuses them."""

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
    except UnicodeDecodeError as error:
        raise EpsballError(f"configuration '{path}' is not text in UTF-8 ({error.reason})") from None
    except EpsballError as error:
        raise EpsballError(f"configuration '{path}': {error}") from None
    except yaml.YAMLError as error:
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
