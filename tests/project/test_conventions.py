"""What the field expects of a repository: the Snakemake Workflow Catalog's rules, citation, versions, licences."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import epsball
import pytest
import yaml
from support.toys import ROOT

# What the catalog's page on adding workflows asks for: generic inclusion, then "standardized usage".
PLACES = ["README.md", "LICENSE", "workflow/Snakefile", "config/README.md", ".snakemake-workflow-catalog.yml"]


def test_the_catalog_finds_the_workflow() -> None:
    assert all((ROOT / place).is_file() for place in PLACES)
    readme = (ROOT / "README.md").read_text(encoding="utf-8").lower()
    assert "snakemake" in readme
    assert "workflow" in readme
    assert list((ROOT / "workflow" / "rules").glob("*.smk"))
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8"))["usage"]
    assert isinstance(usage["mandatory-flags"]["flags"], str)
    stack = usage["software-stack-deployment"]
    assert set(stack) == {"conda", "apptainer", "apptainer+conda", "report"}
    assert all(isinstance(value, bool) for value in stack.values())


def test_what_it_says_of_conda_and_report_is_so() -> None:
    rules = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    assert rules.count("\n    script:") == rules.count("\n    conda:")
    assert "report(" in rules


def test_the_citation_is_of_this_version_and_of_the_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    # What version 1.2.0 of the format requires.
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == epsball.__version__
    (paper,) = citation["references"]
    assert {"type", "title", "authors"} <= set(paper)
    assert paper["doi"] == "10.5220/0006123702260234"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert paper["doi"] in readme


def test_the_version_is_semantic_and_has_its_changes() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", epsball.__version__)
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\]", changes, re.MULTILINE)
    assert headings[0] == "Unreleased"
    released = headings[1:]
    assert epsball.__version__ in released or f"What will be {epsball.__version__}" in changes
    assert (ROOT / "workflow" / "epsball" / "py.typed").is_file()


def test_licences_of_what_comes_with_packages_are_those_that_they_state() -> None:
    page = (ROOT / "config" / "README.md").read_text(encoding="utf-8").split("### Licences")[1].split("\n## ")[0]
    stated = dict(re.findall(r"^\| [^|]*`([\w-]+)`[^|]* \| ([^|;]+?)(?:;[^|]*)? \|", page, re.MULTILINE))
    installed = {str(each.metadata["Name"]).lower() for each in importlib.metadata.distributions()}
    here = {package: licence for package, licence in stated.items() if package in installed}
    assert set(stated) - set(here) <= {"transformers"}  # an extra
    for package, licence in here.items():
        files = importlib.metadata.files(package) or []
        (text,) = (file.read_text() for file in files if file.name == "LICENSE" and ".dist-info" in str(file))
        first = {"MIT": "MIT License", "Apache 2.0": "Apache", "BSD 3-Clause": "BSD 3-Clause"}[licence]
        assert first in text[:400], package


def test_the_guide_names_modules_that_exist() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:\w+/)+\w+\.py)`", guide)
    assert len(named) >= 9
    for name in named:
        assert (ROOT / "workflow" / "epsball" / name).is_file(), name


@pytest.mark.parametrize("path", sorted((ROOT / "workflow" / "scripts").glob("*.py")), ids=lambda path: path.stem)
def test_a_script_imports_the_library_inside_its_job_which_is_there_at_once(path: Path) -> None:
    """A Ctrl-C in the seconds that PyTorch takes would show its traceback otherwise."""
    outside, _, inside = path.read_text(encoding="utf-8").partition("with job(snakemake)")
    assert inside
    found = re.findall(r"^ *(?:from|import) (\S+)", outside, re.MULTILINE)
    assert {"epsball.runs.job"} <= set(found) <= {"pathlib", "typing", "epsball.runs.job", "snakemake.script"}


def test_the_frame_of_a_job_imports_no_package_outside_the_standard_library() -> None:
    script = "import sys; before = set(sys.modules); import epsball.runs.job; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    roots = {name.partition(".")[0] for name in done.stdout.split()}
    assert roots - set(sys.stdlib_module_names) == {"epsball"}
