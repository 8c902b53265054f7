"""The shape of the library: small modules, no cycles, nothing of Snakemake inside."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from epsball.config import keys
from epsball.controls import CONTROLS, control
from epsball.data import KINDS
from epsball.networks.sources import SOURCES
from epsball.perturbations.families import FAMILIES, family
from epsball.probes import PROBES, family_of, is_white_box, probe, white_box_probe
from epsball.reporting.figures import FIGURES, module_name
from support.toys import ROOT

LIBRARY = ROOT / "workflow" / "epsball"


@pytest.mark.parametrize("path", sorted(LIBRARY.rglob("*.py")), ids=lambda path: str(path.relative_to(LIBRARY)))
def test_the_library_knows_nothing_of_snakemake(path: Path) -> None:
    tree = ast.parse(path.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not any(name.startswith("snakemake") for name in names)
    assert ast.get_docstring(tree)


@pytest.mark.parametrize("path", sorted((ROOT / "workflow" / "scripts").glob("*.py")), ids=lambda path: path.name)
def test_scripts_are_thin(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 50
    assert not any(isinstance(node, ast.FunctionDef) for node in ast.walk(ast.parse(path.read_text())))


def test_registries_are_whole() -> None:
    assert {family(name).__name__ for name in FAMILIES} == set(FAMILIES.values())  # type: ignore[attr-defined]
    stored = [name for name in PROBES if not is_white_box(name)]
    assert all(callable(probe(name).measure) for name in stored)
    assert {family_of(name) for name in stored} <= set(FAMILIES)
    assert all(white_box_probe(name).PASSES for name in PROBES if is_white_box(name))
    assert all(set(control(name).PROBES) <= set(PROBES) for name in CONTROLS)
    assert all(callable(getattr(importlib.import_module(module_name(name)), name)) for name in FIGURES)
    others = {"illustration", "controls", "training", "networks of a dataset together"}
    assert {need for _, *needs in FIGURES.values() for need in needs} <= {*PROBES, *others}
    assert set(KINDS) == set(keys.KINDS)
    assert all((ROOT / "workflow" / "report" / f"{name}.rst").is_file() for name in FIGURES)
    text = (ROOT / "config" / "README.md").read_text()
    assert all(f"`{name}:" in text for name in SOURCES), "each source is explained"


def test_every_key_of_the_configuration_is_explained() -> None:
    text = (ROOT / "config" / "README.md").read_text()
    parts = (keys.ConfigFile, keys.NetworkSpec, keys.TrainingSpec)
    named = {key.name for part in parts for key in fields(part)} - {"name"}
    named |= set(keys.KINDS).union(*(kind.model_fields for kind in keys.KINDS.values()))
    missing = {name for name in named if f"`{name}`" not in text}
    assert not missing


def test_both_environments_have_the_same_pins() -> None:
    lines = (ROOT / "envs" / "requirements.txt").read_text().splitlines()
    pins = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    conda = yaml.safe_load((ROOT / "envs" / "environment.yaml").read_text())
    assert conda["dependencies"][-1]["pip"] == pins
    assert all("==" in pin for pin in pins)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["config", "beyond", "zoo"])
def test_reading_the_rules_does_not_import_slow_packages(name: str) -> None:
    text = (ROOT / "workflow" / "rules" / "common.smk").read_text()
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith("from epsball")]
    asks = f"import yaml; config = load_config(yaml.safe_load(open('config/{name}.yaml')))"
    slow = {"torch", "matplotlib", "numba", "zarr", "scipy", "statsmodels", "skbio"}
    tells = f"import sys; print(*{slow} & set(sys.modules))"
    used = "figures.names(config), probes.families(config), cost.describe(config, 1, {})"
    command = [sys.executable, "-c", "\n".join([*lines, asks, used, tells])]
    said = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert said.stdout.strip() == ""


@pytest.mark.slow
def test_figures_and_names_of_classes_do_without_pytorch() -> None:
    """Importing it takes most of a short job's time."""
    drawn = sorted({module_name(name) for name in FIGURES})
    lines = [
        *(f"import {name}" for name in (*drawn, "epsball.reporting.report")),
        "from epsball.data import german_signs, imagenet, imagefolder, imagenette, photographs, signs, gtsrb",
        "import sys; print(len(imagenet.categories()), *{'torch', 'torchvision'} & set(sys.modules))",
    ]
    command = [sys.executable, "-c", "\n".join(lines)]
    said = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert said.stdout.split() == ["1000"]
