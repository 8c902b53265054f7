"""Values as people write them: YAML 1.1 and Snakemake's `--config` give some numbers as text, and paths have a `~`."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
_POWER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)e[-+]?\d+", re.IGNORECASE)  # YAML 1.1 wants 1.0e-3
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_WILDCARD = re.compile(r"\{\s*\w+\s*(,[^{}]*)?\}")
_LONGEST = 255  # bytes of a name
_UNSET = re.compile(r"\$(\w+|\{\w+\})")


def as_meant(raw: Mapping[str, Any], error: ValidationError) -> dict[str, Any]:
    """Return a configuration with numbers and truth values in place of texts that plainly stand for them.

    1e-3 is text in YAML 1.1, and everything inside brackets is text in Snakemake's `--config`.

    Args:
        raw: content of the file.
        error: what pydantic finds wrong with it; other values stay as they are.
    """
    mended = copy.deepcopy(dict(raw))
    for one in error.errors(include_url=False):
        if (read := _READERS.get(one["type"])) is not None:
            # Below a dataset, pydantic's places name its kind.
            *steps, last = [step for place, step in enumerate(one["loc"]) if (one["loc"][0], place) != ("datasets", 2)]
            parent: Any = mended
            for step in steps:
                parent = parent[step]
            parent[last] = read(one["input"])
    return mended


def _number(value: Any) -> Any:
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value) if re.search(r"[.e]", value, re.IGNORECASE) else int(value)
    return value


def _integer(value: Any) -> Any:
    found = _number(value)
    return int(found) if isinstance(found, float) and found.is_integer() else found


def _boolean(value: Any) -> Any:
    return _BOOLEANS.get(value.strip().lower(), value) if isinstance(value, str) else value


_READERS = {"float_type": _number, "int_type": _integer, "bool_type": _boolean}


def arguments(given: Any) -> Any:
    """Return a function's arguments with numbers in place of texts such as 1e-3; other texts stay as they are."""
    if isinstance(given, Mapping):
        return {name: arguments(value) for name, value in given.items()}
    if isinstance(given, list):
        return [arguments(value) for value in given]
    return float(given) if isinstance(given, str) and _POWER.fullmatch(given) else given


def path(text: str) -> str:
    """Return a path with `~` and environment variables replaced, as a shell does.

    Raises:
        PydanticCustomError: a variable is not set.
    """
    expanded = os.path.expanduser(os.path.expandvars(text))  # noqa: PTH111 - a factory is a path and a function
    if (unset := _UNSET.search(expanded)) and not os.path.lexists(expanded):
        raise PydanticCustomError("unset_variable", "not set", {"variable": unset[0]})
    if any(len(os.fsencode(part)) > _LONGEST for part in expanded.split("/")):
        raise PydanticCustomError("too_long_a_name", "too long", {"most": _LONGEST})
    return expanded


def file(text: str) -> str:
    """Return a path as `path` does, of a file that is an input of a rule.

    Raises:
        PydanticCustomError: a variable is not set, or Snakemake would take a part of the name for a wildcard.
    """
    expanded = path(text)
    if (wildcard := _WILDCARD.search(expanded)) is not None:
        raise PydanticCustomError("wildcard", "a wildcard", {"wildcard": wildcard[0]})
    return expanded
