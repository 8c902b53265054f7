"""The pages build without a warning, links lead somewhere, nothing is loaded from elsewhere, code on them works."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import numpy as np
import pytest
from epsball import probes
from epsball.config import load_config
from support.toys import BALL, ROOT, Stages, recipe
from torch import nn

DOCS = ROOT / "docs"
OWN_PROBE = DOCS / "howto" / "own_probe.md"


class Page(HTMLParser):
    """What a page links to, loads, and can be linked at."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") not in ("index", "search", "next", "prev"):
            self.loads.append(given["href"])
        self.loads += [given["src"]] if "src" in given else []
        self.loads += [part.split()[0] for part in given.get("srcset", "").split(",") if part.strip()]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, as `make docs` builds them."""
    folder = tmp_path_factory.mktemp("pages") / "html"
    [line] = recipe("docs")
    _, *options, _ = line.split()
    command = [sys.executable, "-m", "sphinx", *options, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def _inside(page: Path, link: str) -> tuple[Path, str] | None:
    """The file and anchor of a link that stays among the pages."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    return target, unquote(parts.fragment)


@pytest.mark.slow
def test_links_lead_somewhere_and_every_page_is_reached(built: Path) -> None:
    pages = {path.resolve(): Page(path) for path in built.rglob("*.html")}
    broken, reached, waiting = [], set(), [(built / "index.html").resolve()]
    while waiting:
        if (path := waiting.pop()) in reached:
            continue
        reached.add(path)
        for link in pages[path].links:
            if (inside := _inside(path, link)) is None:
                continue
            target, anchor = inside
            if not target.is_file() or (target in pages and anchor not in pages[target].anchors):
                broken.append(f"{path.name}: {link}")
            elif target in pages:
                waiting.append(target)
    assert not broken
    assert {path.name for path in set(pages) - reached} <= {"search.html"}
    assert len(pages) > 40


@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere(built: Path) -> None:
    for path in built.rglob("*.html"):
        for load in Page(path).loads:
            if load.startswith("data:"):
                continue
            inside = _inside(path.resolve(), load)
            assert inside is not None, f"{path.name} loads {load}"
            assert inside[0].is_file(), f"{path.name} lacks {load}"
    for style in built.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"(?:@import|url\()\s*['\"]?(?:https?:)?//", text), style.name


@pytest.mark.slow
def test_equations_are_mathml(built: Path) -> None:
    text = (built / "explanation" / "topology.html").read_text(encoding="utf-8")
    assert text.count('<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">') == 4
    assert "\\frac" not in text


@pytest.mark.slow
def test_the_package_graph_has_every_package_and_its_imports(built: Path) -> None:
    picture = ElementTree.parse(built / "_images" / "packages.svg").getroot()
    svg = "{http://www.w3.org/2000/svg}"
    shown = [text.text for text in picture.iter(f"{svg}text") if not text.get("class")]
    package = ROOT / "workflow" / "epsball"
    modules = {path.stem for path in package.glob("*.py")} - {"__init__"}
    there = {path.parent.name for path in package.glob("*/__init__.py")} | modules
    assert set(shown) == there
    assert shown.index("stages") < shown.index("probes") < shown.index("config")
    assert len(list(picture.iter(f"{svg}path"))) > len(there), "lines from a package to those that it imports"


@pytest.mark.slow
def test_the_probe_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stages: Stages) -> None:
    blocks = re.findall(r"```(?:python|yaml)\n(.*?)```", OWN_PROBE.read_text(encoding="utf-8"), re.DOTALL)
    module, registered, asked = blocks[:3]
    (tmp_path / "coherence.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    registry = (ROOT / "workflow" / "epsball" / "probes" / "__init__.py").read_text(encoding="utf-8")
    assert registered.splitlines()[1] in registry, "the registry begins as the page says"
    (name,) = re.findall(r'"(\w+)": Entry\("epsball\.probes\.\1", "uniform"\)', registered)
    monkeypatch.setitem(probes.PROBES, name, probes.Entry(name, "uniform"))
    needed = {"datasets": {"d": {"kind": "signs"}}, "networks": {"n": {"dataset": "d", "factory": "sign:ciresan2012"}}}
    assert asked == f"extra_probes: [{name}]\n"
    assert name in probes.chosen_probes(load_config({**needed, "extra_probes": [name]}))

    # Features that are the image itself move as independent noise does.
    image_itself = nn.Sequential(nn.Flatten(), nn.Linear(108, 3))
    table = stages.run(image_itself, name)
    at_zero = table["radius"] == 0
    assert table.loc[at_zero, name].isna().all()
    np.testing.assert_allclose(table.loc[~at_zero, name], BALL.draws**-0.5, rtol=0.25)


def test_a_part_of_a_page_is_written_anew_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    marked = importlib.import_module("marked")
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- part -->\nold\n<!-- end of part -->\nafter\n")
    for value in ("1", "2"):
        marked.put(page, "part", marked.table(["a", "b"], [[value, "|x|"]]))
    expected = "before\n<!-- part -->\n| a | b |\n| --- | --- |\n| 2 | \\|x\\| |\n<!-- end of part -->\nafter\n"
    assert page.read_text() == expected
    for path, part in ((ROOT / "README.md", "default run"), (DOCS / "real.md", "claims")):
        text = path.read_text(encoding="utf-8")
        assert text.count(f"<!-- {part} -->\n") == text.count(f"<!-- end of {part} -->\n") == 1
