"""The reference's pages that are made from the code: schema, probes, command line, rules, layers of imports."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import re
import tomllib
import unittest.mock
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import epsball
from epsball.commands.cli import main
from epsball.config import schema
from epsball.config.keys import DatasetKeys
from epsball.controls import CONTROLS
from epsball.perturbations.families import FAMILIES
from epsball.probes import PAPERS, PROBES, family_of, is_white_box

ROOT = Path(__file__).parent.parent
LIBRARY = ROOT / "workflow" / "epsball"
OF_A_CONFIGURATION = ("Ball", "Compute", "WhiteBox", "NetworkSpec", "TrainingSpec")


def write(folder: Path) -> None:
    """Write all pages; one that is the same already keeps its time, so that it is not built again."""
    folder.mkdir(exist_ok=True)
    pages = {"schema": keys(), "probes": probes(), "commands": commands(), "rules": rules(), "layers": layers()}
    pages["public"] = public()
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def keys() -> str:
    """Every key of the configuration, from its schema."""
    whole = schema()
    defined = whole["$defs"]
    places = whole["properties"]["datasets"]["patternProperties"].values()
    kinds = {kind: ref for place in places for kind, ref in place["discriminator"]["mapping"].items()}
    common = set(DatasetKeys.model_fields)
    parts = [
        "# Keys, from the schema\n",
        "What the schema inside the package says of every key, which is what a configuration is checked against. "
        "The same keys with more words and examples: [configuration](../reference/configuration.md).\n",
        "## The run and how it is computed\n",
        _keys(whole),
        "## `white_box`\n",
        _keys(defined["WhiteBox"]),
        "## A network\n",
        _keys(defined["NetworkSpec"]),
        "## `training` of a network\n",
        _keys(defined["TrainingSpec"]),
        "## A dataset, of any kind\n",
        _keys(defined["Arrays"], common),
    ]
    for name, reference in kinds.items():
        kind = defined[reference.rsplit("/", 1)[1]]
        own = set(kind["properties"]) - common
        parts += [f"## Kind `{name}`\n", f"{kind['description']}\n", _keys(kind, own)]
    return "\n".join(parts)


def _keys(part: Mapping[str, Any], shown: Collection[str] = ()) -> str:
    """A table of the keys of a part of the schema: all of them, or those that are `shown`."""
    rows = []
    for name, entry in part["properties"].items():
        if not shown or name in shown:
            default = "needed" if name in part.get("required", ()) else _value(entry.get("default"))
            rows.append((f"`{name}`", _type(entry), default, _cell(entry.get("description", ""))))
    return _table(("key", "value", "default", "meaning"), rows)


def _type(entry: Mapping[str, Any]) -> str:
    if "enum" in entry:
        return " or ".join(f"`{value}`" for value in entry["enum"])
    if "$ref" in entry:
        return "see below"
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    said = [f"{sign} {entry[key]}" for key, sign in bounds.items() if key in entry]
    kind = str(entry.get("type", "any"))
    if kind == "array":
        kind = f"list of {entry['items']['type']}s"
    return " ".join([kind, ", ".join(said)]).strip()


def _value(default: object) -> str:
    if isinstance(default, list) and len(default) > 6:
        return f"`{json.dumps(default[:2])[:-1]}, …, {default[-1]}]`"
    return "none" if default is None else f"`{json.dumps(default)}`"


def probes() -> str:
    """The tables of the probes, from their docstrings."""
    parts = [
        "# Tables of the probes\n",
        "`results/<run>/metrics/<network>/<probe>.parquet`, one a network, probe and control "
        "(`<network>~<control>`). What a probe measures, and its table's columns, as its module says it.\n",
    ]
    for name, module in PROBES.items():
        kind = "asks the network itself" if is_white_box(name) else f"reads the family `{family_of(name)}`"
        place = "in every run" if name in PAPERS else "a further probe"
        functions = _functions(module)
        shown = [f"{module}.measure"] if "measure" in functions else []
        parts += [f"## `{name}`\n", f"{place.capitalize()}; {kind}.\n", _autodoc(module, shown)]
    parts += [
        "## What ranges are measured by\n",
        _autodoc("epsball.probes.ranges", ["epsball.probes.ranges.measure_ranges"]),
    ]
    parts += ["## Families\n", "How perturbations are drawn. A probe names the family that it reads.\n"]
    parts.append(_table(("family", "what it draws"), _described(FAMILIES)))
    parts += [
        "## Controls\n",
        "Networks made from a network, see [controls](../reference/configuration.md#controls).\n",
    ]
    parts.append(_table(("control", "what it is"), _described(CONTROLS)))
    return "\n".join(parts)


def _described(registry: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(f"`{name}`", _cell(_summary(_path(module)))) for name, module in registry.items()]


def _autodoc(module: str, functions: Iterable[str]) -> str:
    lines = ["```{eval-rst}", f".. automodule:: {module}", "   :no-index:", ""]
    for function in functions:
        lines += [f".. autofunction:: {function}", ""]
    return "\n".join([*lines, "```\n"])


def _functions(module: str) -> set[str]:
    tree = ast.parse(_path(module).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def _path(module: str) -> Path:
    path = LIBRARY.parent / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _summary(path: Path) -> str:
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(said.split("\n\n")[0].split())


def public() -> str:
    """The modules of what `import epsball` offers."""
    modules = dict.fromkeys(getattr(epsball, name).__module__ for name in epsball.__all__)
    parts = ["## `import epsball`\n", f"`epsball` has {', '.join(f'`{name}`' for name in epsball.__all__)}.\n"]
    lines = [line for module in modules for line in (f".. automodule:: {module}", "   :members:", "")]
    lines += [line for name in OF_A_CONFIGURATION for line in (f".. autoclass:: epsball.config.{name}", "")]
    note = "The attributes of the last ones: [the keys of a configuration](../_generated/schema.md).\n"
    return "\n".join([*parts, "```{eval-rst}", *lines, "```\n", note])


def commands() -> str:
    """What `--help` of the command line and of each of its commands says."""
    whole = _help()
    names = re.findall(r"^    ([a-z][\w-]*)(?:  |$)", whole, re.MULTILINE)
    if not names:
        raise ValueError("epsball --help lists no command")
    parts = ["# The command line\n", f"```text\n{whole}```\n"]
    for name in names:
        parts += [f"## `epsball {name}`\n", f"```text\n{_help(name)}```\n"]
    return "\n".join(parts)


def _help(*command: str) -> str:
    said = io.StringIO()
    width = unittest.mock.patch.dict(os.environ, COLUMNS="88")
    with width, contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        main([*command, "--help"])
    return said.getvalue()


def rules() -> str:
    """The rules of the workflow: file, script, what is written."""
    parts = [
        "# Rules of the workflow\n",
        "A rule is a script of a few lines that calls the library. Paths are below `results/<run>/`.\n",
    ]
    for file in sorted((ROOT / "workflow" / "rules").glob("*.smk")):
        rows = [row for block in _rules(file.read_text(encoding="utf-8")) if (row := _rule(block)) is not None]
        if rows:
            parts += [f"## `rules/{file.name}`\n", _table(("rule", "what it does", "writes"), rows)]
    return "\n".join(parts)


def _rules(text: str) -> list[str]:
    return re.split(r"^ *(?=(?:rule|checkpoint|use rule)\b)", text, flags=re.MULTILINE)[1:]


def _rule(block: str) -> tuple[str, str, str] | None:
    name = re.match(r"use rule \w+ as (\w+)|\w+ (\w+):|rule:\s+name:\s+(\w+)", block)
    output = re.search(r"^ *output:\n(.*?)^ *log:", block, re.MULTILINE | re.DOTALL)
    if name is None or output is None:
        return None
    script = re.search(r"scripts/(\w+\.py)", block)
    does = _summary(ROOT / "workflow" / "scripts" / script[1]) if script else f"As `{block.split()[2]}`, of a control."
    writes = re.findall(r"f\"\{RUN\}/(.*?)\"", output[1])
    said = next(filter(None, name.groups()))
    named = "measure_control_<control>" if said == "control_rule" else said
    return f"`{named}`", does, ", ".join(f"`{_plain(place)}`" for place in writes) or "what its file lists"


def _plain(place: str) -> str:
    """`{{network}}` and `{probe}` as `<network>` and `<probe>`."""
    without_patterns = re.sub(r",\{[^{}]*\}", "", place)
    return re.sub(r"\{+(\w+)\}+", r"<\1>", without_patterns)


def layers() -> str:
    """The layers of the library's imports, from the contract that checks them, and a sentence of each module."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    levels = next(contract["layers"] for contract in settings["contracts"] if contract["type"] == "layers")
    rows = []
    for number, level in enumerate(levels):
        for module in level.split(" | "):
            place = number + 1 if module == level.split(" | ")[0] else ""
            rows.append((str(place), f"`{module.removeprefix('epsball.')}`", _cell(_summary(_path(module)))))
    return "\n".join(
        [
            "# Modules, by layers\n",
            "A module imports from layers below its own, and from none beside it; import-linter checks it in "
            "`make lint`.\n",
            _table(("layer", "module", "what it is"), rows),
        ]
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    cells = list(head)
    lines = [cells, ["---"] * len(cells), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<")
