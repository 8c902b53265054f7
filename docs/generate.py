"""Write the reference pages that are made from the code: schema, probes, command line, rules, packages."""

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
import grimp
from epsball.commands.cli import main
from epsball.config import schema
from epsball.config.keys import DatasetKeys
from epsball.controls import CONTROLS
from epsball.perturbations.families import FAMILIES
from epsball.probes import PAPERS, PROBES
from epsball.stages.fingerprints import STAGES

ROOT = Path(__file__).parent.parent
LIBRARY = ROOT / "workflow" / "epsball"
OF_A_CONFIGURATION = ("Ball", "Compute", "WhiteBox", "NetworkSpec", "TrainingSpec")


def write(folder: Path) -> None:
    """Write all pages. A page that has not changed keeps its time, so that Sphinx does not build it again."""
    folder.mkdir(exist_ok=True)
    pages = {"schema": keys(), "probes": probes(), "commands": commands(), "rules": rules()}
    pages |= {"public": public(), "packages": packages("packages.svg")}
    files = {f"{name}.md": text for name, text in pages.items()} | {"packages.svg": package_graph()}
    for name, text in files.items():
        path = folder / name
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
        "## A sweep\n",
        _keys(defined["Sweep"]),
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
    first: dict[str, str] = {}
    for name, (module, family) in PROBES.items():
        kind = "asks the network itself" if family is None else f"reads the family [`{family}`](#families)"
        place = "in every run" if name in PAPERS else "a further probe"
        parts += [f"## `{name}`\n", f"{place.capitalize()}; {kind}.\n"]
        known = first.setdefault(module, name)
        parts.append(
            f"Measured as [{known}](#{known}).\n" if known != name else _autodoc(module, [f"{module}.measure"])
        )
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
    """List the stages of the workflow: what each does, and the files that its rule names."""
    rows = []
    for name in STAGES:
        rule = (ROOT / "workflow" / "rules" / f"{name}.smk").read_text(encoding="utf-8")
        outputs = re.findall(r"f\"\{RUN\}/(.*?)\"", rule.split("    output:\n")[1].split("    log:\n")[0])
        written = ", ".join(f"`{_plain(place)}`" for place in outputs) or "tables and pictures, as its file lists them"
        rows.append((f"`{name}`", _summary(ROOT / "workflow" / "scripts" / f"{name}.py"), written))
    return "\n".join(
        [
            "# Stages of the workflow\n",
            "A stage has one name: that of its rule in `workflow/rules`, of its script in `workflow/scripts`, of its "
            "log, and of its module in `epsball/stages`, `analysis` or `reporting`. Paths are relative to "
            "`results/<run>/`.\n",
            _table(("stage", "what it does", "writes"), rows),
        ]
    )


def _plain(place: str) -> str:
    """`{{network}}` and `{probe}` as `<network>` and `<probe>`."""
    without_patterns = re.sub(r",\{[^{}]*\}", "", place)
    return re.sub(r"\{+(\w+)\}+", r"<\1>", without_patterns)


def packages(picture: str) -> str:
    """Describe the library's packages and modules, in the order in which they may import each other.

    Args:
        picture: file name of the package graph, beside the page.
    """
    parts = [
        "# Packages and modules\n",
        "The library has one package for each kind of work. A package imports only from packages below it in this "
        "list; import-linter checks that in `make lint`. In the picture, a line leads from a package down to one that "
        "it imports: dark where that is the only way, grey where another package in between leads there as well.\n",
        f"![The packages of the library and the imports between them]({picture})\n",
    ]
    for package in _packages():
        path = _path(f"epsball.{package}")
        parts.append(f"## `{package}`\n\n{_summary(path)}\n")
        if path.name == "__init__.py":
            modules = sorted(module for module in path.parent.rglob("*.py") if module != path)
            rows = [(f"`{_dotted(module)}`", _cell(_summary(module))) for module in modules]
            parts.append(_table(("module", "what it does"), rows))
    return "\n".join(parts)


def _packages() -> list[str]:
    """Return the packages from the top down, from the contract that import-linter checks."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    levels = next(contract["layers"] for contract in settings["contracts"] if contract["type"] == "layers")
    return [name.removeprefix("epsball.") for level in levels for name in level.split(" | ")]


def _dotted(module: Path) -> str:
    """Return the name of a module's file below `epsball`, such as `data.arrays`."""
    parts = module.relative_to(LIBRARY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package_graph() -> str:
    """Draw the imports between the library's packages as an SVG: one box a package, one arc an import."""
    names = _packages()
    graph = grimp.build_graph("epsball", cache_dir=None)
    modules = {name: len(graph.find_descendants(f"epsball.{name}")) for name in names}
    for name in names:
        graph.squash_module(f"epsball.{name}")
    imported = {}
    for place, name in enumerate(names):
        below = names[place + 1 :]
        of = f"epsball.{name}"
        imported[name] = {
            other for other in below if graph.direct_import_exists(importer=of, imported=f"epsball.{other}")
        }
    reached = {name: _reachable(name, imported) for name in names}
    height, left, width = 44, 20, 250
    grey, dark = 'stroke="#c4c4c4"', 'stroke="#0072b2" stroke-width="1.8"'
    arcs: dict[str, list[str]] = {grey: [], dark: []}  # grey first, so that dark lines lie on top
    for top, name in enumerate(names):
        for other in imported[name]:
            bottom = names.index(other)
            only_way = not any(other in reached[between] for between in imported[name])
            start, end, right = top * height + 30, bottom * height + 22, left + width
            bend = right + 26 * (bottom - top)
            arcs[dark if only_way else grey].append(
                f'<path d="M{right},{start} C{bend},{start} {bend},{end} {right},{end}" marker-end="url(#tip)"/>'
            )
    boxes = [
        f'<rect x="{left}" y="{row * height + 8}" width="{width}" height="32" rx="5"/>'
        f'<text x="{left + 14}" y="{row * height + 29}">{name}</text>'
        f'<text x="{left + width - 14}" y="{row * height + 29}" class="count">{_count(modules[name])}</text>'
        for row, name in enumerate(names)
    ]
    lines = [f'<g fill="none" {stroke}>{"".join(paths)}</g>' for stroke, paths in arcs.items()]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 560 {len(names) * height + 8}" width="560">'
        "<style>text{font:15px sans-serif;fill:#222}.count{text-anchor:end;font-size:12px;fill:#666}"
        "rect{fill:#eef4f9;stroke:#0072b2}</style>"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto">'
        f'<path d="M0,0 L8,4 L0,8 z" fill="#555"/></marker></defs>{"".join(lines)}{"".join(boxes)}</svg>\n'
    )


def _reachable(name: str, imported: Mapping[str, set[str]]) -> set[str]:
    """Return the packages that a package reaches by following imports."""
    return imported[name].union(*(_reachable(other, imported) for other in imported[name]))


def _count(modules: int) -> str:
    return f"{modules} modules" if modules > 1 else "1 module"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    cells = list(head)
    lines = [cells, ["---"] * len(cells), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<")
