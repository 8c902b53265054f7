"""Sentences about the mistakes of a configuration: where, what was found, what is expected."""

from __future__ import annotations

import ctypes
import datetime
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from epsball.config.keys import KINDS, ConfigFile
from epsball.errors import did_you_mean

_LONGEST = 200  # characters of a value in a message

# By pydantic's name of a mistake, and the last step of its place where that matters. A key of a mapping ends in [key].
_SENTENCES = {
    "bool_type": "{place} is {found}; expected: boolean",
    "dataclass_type": "{place} is {found}; expected: keys with values",
    "dict_type": "{place} is {found}; expected: keys with values",
    "extra_forbidden": "unknown key '{key}' in {parent}; {hint}",
    "finite_number": "{place} is {found}; expected: a finite number",
    "float_type": "{place} is {found}; expected: number",
    "greater_than": "{place} is {found}; it must be above {gt:.20g}",
    "greater_than_equal": "{place} is {found}; it must be at least {ge:.20g}",
    "int_type": "{place} is {found}; expected: integer",
    "invalid_key": "unknown key '{key}' in {parent}; {hint}",
    "less_than": "{place} is {found}; it must be below {lt:.20g}",
    "literal_error": "{place} is {found}; expected one of: {choices}",
    "mapping_type": "{place} is {found}; expected: keys with values",
    "missing": "{parent} has no key '{key}'; it is needed",
    "model_attributes_type": "{place} is {found}; expected: keys with values",
    "repeated": "{place} has '{name}' twice; name each once",
    "string_pattern_mismatch": "{place} is {found}; expected: letters, digits, . _ -, at most 80",
    "string_pattern_mismatch [key]": "{parent} has the name {found}; expected: letters, digits, . _ -, at most 80",
    "string_pattern_mismatch factory": "{place} is {found}; expected: kind:name, such as sign:ciresan2012",
    "string_type": "{place} is {found}; expected: string{quotes}",
    "string_type [key]": "{parent} has the name {found}, which YAML takes for no text; put it in quotes",
    "too_long_a_name": "{place} is {found}; names of files and folders have at most {most} bytes",
    "too_short": "{place} is empty; give at least one",
    "tuple_type": "{place} is {found}; expected: a list, such as [1, 2]",
    "wildcard": "{place} is {found}, and Snakemake takes {wildcard} for a wildcard; rename the file, or link to it",
    "unset_variable": "{place} is {found}, but {variable} is not set; set it, or write the path",
    "unexpected_keyword_argument": "unknown key '{key}' in {parent}; {hint}",
    "union_tag_invalid": "{place}.kind is '{tag}', no such kind; {hint}",
    "union_tag_not_found": "{place} has no key 'kind'; it is needed",
}


def violations(error: ValidationError, schema: Mapping[str, Any]) -> Iterator[str]:
    """Say in sentences what pydantic finds wrong; the JSON schema of a configuration file tells the keys there are."""
    for one in error.errors(include_url=False):
        if one["type"] != "too_short" or not one["input"]:  # a list is too short, too, without entries that are wrong
            yield _describe(one, schema)


def _describe(error: ErrorDetails, schema: Mapping[str, Any]) -> str:
    steps, kind, context, found = error["loc"], error["type"], error.get("ctx", {}), error["input"]
    template = _SENTENCES.get(f"{kind} {steps[-1]}" if steps else kind) or _SENTENCES.get(kind, "{place}: {message}")
    # Below a dataset, pydantic's places name its kind.
    place = steps[:2] + steps[3:] if steps[:1] == ("datasets",) else steps
    names = [_cut(step) for step in place if step != "[key]"]
    context = {name: _cut(value) if isinstance(value, str) else value for name, value in context.items()}
    key = names[-1] if names else ""
    known = KINDS if kind == "union_tag_invalid" else _known(schema, steps[:-1]) if "{hint}" in template else ()
    return template.format(
        place=".".join(names) or "the file",
        parent=".".join(names[:-1]) or "the file",
        key=key,
        found=_shown(found),
        quotes=", so put it in quotes" if isinstance(found, int | float | datetime.date) else "",
        choices=context.get("expected", "").replace("'", "").replace(" or ", ", "),
        hint=did_you_mean(context.get("tag", key), known),
        message=error["msg"],
        **context,
    )


def _shown(found: Any) -> str:
    if found is None:
        return "empty"
    return _cut(str(found) if isinstance(found, datetime.date) else repr(found))


def _cut(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 20]}… ({len(text)} characters)"


def _known(schema: Mapping[str, Any], steps: Sequence[int | str]) -> list[str]:
    """Return the keys that there are at a place."""
    part = schema
    for step in steps:
        if "discriminator" in part:
            part = {"$ref": part["discriminator"]["mapping"][step]}
        elif "properties" in part:
            part = part["properties"][step]
        else:
            part = next(iter(part["patternProperties"].values()))
        if "$ref" in part:
            part = schema["$defs"][part["$ref"].rsplit("/", 1)[1]]
    return list(part["properties"])


def contradictions(raw: Mapping[str, Any]) -> Iterator[str]:
    """Say what keys of a configuration contradict each other, be they valid by themselves or not."""
    datasets, networks = _entries(raw, "datasets"), _entries(raw, "networks")
    if datasets and networks:
        yield from _unmatched(datasets, networks)
    for name in datasets:
        entry = _entries(datasets, name)
        if "share" in entry and (policy := entry.get("selection", "all")) != "share":
            yield f"datasets.{_cut(name)}.share is set, but selection is {_shown(policy)}; set that to share"
    for name in _entries(_entries(raw, "white_box"), "layers"):
        if networks and name not in networks:
            hint = did_you_mean(str(name), networks)
            yield f"white_box.layers has {_shown(name)}, no network of this configuration; {hint}"
    if raw.get("noise") == "gaussian" and raw.get("norm") == "linf":
        yield "noise is 'gaussian', whose L2 norm alone has a scale; it needs norm l2, not linf"
    radii, epsilon = raw.get("radii", list(ConfigFile.radii)), raw.get("epsilon", ConfigFile.epsilon)
    steps = [epsilon, *radii] if isinstance(radii, list) else []
    if not all(isinstance(step, int | float) for step in steps):
        return
    if any(later <= earlier for earlier, later in itertools.pairwise(steps)):
        yield f"radii are {_shown(radii)}; they must rise, and start above epsilon ({epsilon})"
    elif steps and steps[0] > 0 and _coincide([0, *steps, math.inf]):
        yield (
            f"radii are {_shown(radii)} and epsilon is {epsilon}; they must be different, and finite, in float32, in "
            "which images are perturbed"
        )


def _coincide(rising: Sequence[float]) -> bool:
    """Return whether some of these numbers are one number in float32."""
    try:
        rounded = [ctypes.c_float(value).value for value in rising]
    except OverflowError:  # an integer beyond all floats
        return True
    return any(later <= earlier for earlier, later in itertools.pairwise(rounded))


def _unmatched(datasets: Mapping[str, Any], networks: Mapping[str, Any]) -> Iterator[str]:
    used = {name: dataset for name in networks if isinstance(dataset := _entries(networks, name).get("dataset"), str)}
    for name, dataset in used.items():
        kind = KINDS.get(str(_entries(datasets, dataset).get("kind")))
        if dataset not in datasets:
            hint = did_you_mean(dataset, datasets)
            yield f"networks.{_cut(name)}.dataset is {_shown(dataset)}, no dataset of this configuration; {hint}"
        elif "training" in networks[name] and kind is not None and not kind.TRAINABLE:
            yield f"networks.{_cut(name)}.training is set, but dataset '{dataset}' has no training split"
        if {"training", "weights"} <= networks[name].keys():
            yield f"networks.{_cut(name)} has weights and training; leave out one: training begins anew"
    if set(used.values()) <= datasets.keys():
        for name in datasets:
            if name not in used.values():
                yield f"datasets.{_cut(name)} has no network; add one under networks or remove the dataset"


def _entries(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return what is below a key; nothing where that is no mapping."""
    value = raw.get(key)
    return value if isinstance(value, Mapping) else {}
