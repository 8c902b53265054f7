"""Configure Sphinx for these pages: `make docs`."""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path[:0] = [str(DOCS), str(ROOT / "workflow")]

import epsball  # noqa: E402
import generate  # noqa: E402
from docutils import nodes  # type: ignore[import-untyped]  # noqa: E402
from latex2mathml.converter import convert  # noqa: E402

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.writers.html5 import HTML5Translator

project = "epsball"
author = "epsball developers"
release = version = epsball.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "gallery", "_generated/public.md"]
myst_heading_anchors = 4
myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
html_math_renderer = "mathml"  # below

# Single backticks in docstrings become a link if the name is known, and code if not.
default_role = "py:obj"
nitpick_ignore_regex = [("py:.*", ".*")]  # names of other libraries: looking them up would need the network
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "_gallery",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,
    "abort_on_example_error": True,
    "image_srcset": ["2x"],
}

html_theme = "furo"
html_title = "epsball"
html_static_path = ["_static"]
html_css_files = ["epsball.css"]
html_show_copyright = False
html_copy_source = False
html_use_index = False
html_domain_indices = False
copybutton_exclude = ".linenos, .gp, .go"

_LINK = re.compile(r"\]\((?![a-z]+:|#|/)([^)#\s]+)(#[^)\s]*)?\)")
# Files outside docs/, and the page that shows each of them.
_PAGES = {
    "README.md": "index.md",
    "config/README.md": "reference/configuration.md",
    "CHANGELOG.md": "reference/changelog.md",
    "CONTRIBUTING.md": "howto/contribute.md",
}


def rewrite_links(text: str, origin: Path, page: str) -> str:
    """Return Markdown with its links relative to the page that shows it.

    In the repository a link is relative to the file that it stands in. A page may include a file of another folder.

    Args:
        text: Markdown.
        origin: file that the text comes from.
        page: page that shows the text, relative to docs/.
    """

    def link(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(origin.parent.relative_to(ROOT).as_posix(), found[1]))
        shown = _PAGES.get(target, posixpath.relpath(target, "docs"))
        return f"]({posixpath.relpath(shown, posixpath.dirname(page) or '.')}{found[2] or ''})"

    return _LINK.sub(link, text)


def _source_read(app: Sphinx, name: str, content: list[str]) -> None:
    if (path := DOCS / f"{name}.md").is_file() and "_generated" not in name:
        content[0] = rewrite_links(content[0], path, f"{name}.md")


def _include_read(app: Sphinx, path: Path, parent: str, content: list[str]) -> None:
    # MyST gives the parent as a name without its folder.
    content[0] = rewrite_links(content[0], (DOCS / path).resolve(), f"{app.env.docname}.md")


def _inline_math(writer: HTML5Translator, node: nodes.math) -> None:
    writer.body.append(convert(node.astext()))
    raise nodes.SkipNode


def _block_math(writer: HTML5Translator, node: nodes.math_block) -> None:
    writer.body.append(f'<div class="math">{convert(node.astext(), display="block")}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Write the pages made from the code, and register what Sphinx calls while it reads and writes pages."""
    generate.write(DOCS / "_generated")
    # MathML is drawn by the browser itself, so equations need neither JavaScript nor a network.
    app.add_html_math_renderer("mathml", (_inline_math, None), (_block_math, None))
    app.connect("source-read", _source_read)
    app.connect("include-read", _include_read)
