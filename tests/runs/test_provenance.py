"""What counts as a change of code, and what is recorded of a file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from epsball.errors import EpsballError
from epsball.runs import files, provenance, provenance_records
from epsball.runs.integrity import Inputs
from support.toys import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the library and the scripts that digests are taken of."""
    shutil.copytree(ROOT / "workflow", tmp_path / "workflow")
    copied = tmp_path / "workflow" / "epsball"
    inert = frozenset(copied / path.relative_to(provenance._LIBRARY) for path in provenance._INERT)
    monkeypatch.setattr(provenance, "_INERT", inert)
    monkeypatch.setattr(provenance, "_LIBRARY", copied)
    return tmp_path / "workflow"


def digest(library: Path, script: str, *modules: str) -> str:
    for cached in (provenance._read, provenance.code_digest):
        cached.cache_clear()
    return provenance.code_digest(library / "scripts" / script, modules)


def edit(library: Path, module: str, old: str, new: str) -> None:
    path = library / "epsball" / module
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_comments_and_docstrings_do_not_count(library: Path) -> None:
    before = digest(library, "extract.py")
    edit(library, "perturbations/philox.py", '"""Counter-based', '"""Counter-dependent')
    edit(library, "perturbations/philox.py", "_MASK = 0xFFFFFFFF", "_MASK =  0xFFFFFFFF")
    assert digest(library, "extract.py") == before


def test_code_counts_through_imports(library: Path) -> None:
    extract, figure = (
        digest(library, "extract.py"),
        digest(library, "figures.py", "epsball.reporting.figures.paper"),
    )
    edit(library, "perturbations/cpu_kernels.py", "ROUNDS = 10", "ROUNDS = 7")
    assert digest(library, "extract.py", "epsball.perturbations.families.uniform") != extract
    assert digest(library, "figures.py", "epsball.reporting.figures.paper") == figure


def test_what_is_imported_for_its_types_alone_does_not_count(library: Path) -> None:
    measure = digest(library, "measure.py", "epsball.probes.topology")
    edit(library, "probes/white_box_input.py", "self.ball.draws", "self.ball.draws + 1")
    assert digest(library, "measure.py", "epsball.probes.topology") == measure


def test_only_what_a_stage_loads_counts(library: Path) -> None:
    uniform = digest(library, "extract.py", "epsball.perturbations.families.uniform")
    permuted = digest(library, "extract.py", "epsball.perturbations.families.permuted")
    edit(library, "perturbations/families/permuted.py", "(1, 2)", "(1, 3)")
    assert digest(library, "extract.py", "epsball.perturbations.families.uniform") == uniform
    assert digest(library, "extract.py", "epsball.perturbations.families.permuted") != permuted


def test_a_new_entry_of_a_registry_redoes_nothing(library: Path) -> None:
    before = digest(library, "extract.py", "epsball.perturbations.families.uniform")
    edit(
        library,
        "perturbations/families/__init__.py",
        "FAMILIES = {",
        'FAMILIES = {"other": "epsball.perturbations.families.other",',
    )
    assert digest(library, "extract.py", "epsball.perturbations.families.uniform") == before
    edit(
        library,
        "perturbations/families/__init__.py",
        "importlib.import_module(FAMILIES[name])",
        "importlib.import_module(name)",
    )
    assert digest(library, "extract.py", "epsball.perturbations.families.uniform") != before


def test_progress_cannot_change_a_number(library: Path) -> None:
    before = digest(library, "extract.py")
    edit(library, "runs/progress.py", "= 5.0", "= 6.0")
    assert digest(library, "extract.py") == before


def test_a_file_that_came_out_the_same_says_what_made_it_first_and_that_it_was_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made, given = Path("results/small/claims.tsv"), Path("mine.py")
    made.parent.mkdir(parents=True)
    made.write_text("the same")
    digests = []
    for code in ("first", "second"):
        given.write_text(code)
        digests.append(files.digest(given)[:16])
        provenance_records.keep_configuration(Path("results/small"), {"run": "small"})
        provenance_records.record(
            [str(made)], Inputs.of([str(given)]).digests, "claims", {}, code, {}, {"run": "small"}
        )
    facts, last = provenance_records.read(made), provenance_records.last(made)
    assert facts["fingerprint"] == "first"
    assert facts["given"]["mine.py"].startswith(digests[0])
    assert last["fingerprint"] == "second"
    assert last["given"]["mine.py"].startswith(digests[1])


@pytest.mark.fault("a kept configuration that is cut", "an earlier one that is whole, or a sentence")
@pytest.mark.parametrize("content", ["", "networks: {a: [", "- 1\n", "é"])
def test_a_kept_configuration_that_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.chdir(tmp_path)
    run = Path("results/small")
    provenance_records.keep_configuration(run, {"run": "small"})
    provenance_records.keep_configuration(run, {"run": "small", "draws": 3})
    cut = provenance_records.configuration_path(run, provenance.digest({"run": "small", "draws": 3}))
    cut.write_text(content, encoding="latin-1")
    os.utime(cut, (2e9, 2e9))
    assert provenance_records.last_configuration(run) == {"run": "small"}
    provenance_records.configuration_path(run, provenance.digest({"run": "small"})).unlink()
    with pytest.raises(EpsballError, match="the configuration that a run kept, is missing or damaged"):
        provenance_records.last_configuration(run)
