"""A clone of the repository, and configurations of a minute or two with the kinds of data and probes of each."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from epsball.config import NetworkSpec
from epsball.networks import model
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from support import warm
from support.toys import ROOT

_ASIDE = ("__pycache__", ".?*", "_build", "_gallery", "_generated", "results", "*.egg-info")
_LEAST: dict[str, Any] = {
    "radii": [1, 10],
    "draws": 4,
    "batch": 4,
    "float64_draws": 2,
    "mantel_permutations": 99,
    "illustration_grid": 3,
}
# What each has otherwise, beside these numbers: all networks, probes and controls stay; of a sweep, all levels of its
# first factor, an architecture, in the first and the last way of training.
_WHITE_BOX = {"draws": 3, "power_iterations": 5, "clever_batches": 3, "clever_size": 2, "directions": 2}
_LESS: dict[str, dict[str, Any]] = {
    "config": {"extra_probes": ["alpha"]},
    "beyond": {"white_box": _WHITE_BOX},
    "cifar10": {},
    "sensitivity": {},
    "paper": {},
    "real": {},
    "real-beyond": {"white_box": _WHITE_BOX},
    "zoo": {"white_box": _WHITE_BOX},
    "zoo-gtsrb": {"white_box": _WHITE_BOX},
    "zoo-cifar10": {"white_box": _WHITE_BOX},
}
# Networks that were hardly trained are hardly sure.
_FEW: dict[str, dict[str, Any]] = {
    "signs": {"train": 860, "test": 430, "threshold": 0.1},
    "gtsrb": {"threshold": 0.03},
}
# Of `make bench`.
_BENCHMARKS = {
    "extract.py": {
        r"^FACTORIES = \{.*?^\}": 'FACTORIES = {"aghdam2015": "sign:aghdam2015"}',
        "^DRAWS = .*?$": "DRAWS = 4",
    },
    "scaling.py": {"^FACTORS = .*?$": "FACTORS = (1,)"},
}
# The factory that its user writes; what it builds is torchvision's network instead of BVLC's.
_GOOGLENET = """
import numpy as np
import torch
from torchvision.models import googlenet


def make(weights):
    module = googlenet(weights=None, aux_logits=False, init_weights=False)
    module.load_state_dict({name: torch.from_numpy(value) for name, value in np.load(weights).items()})
    return module
"""
_SEEN = 5  # the class of all images of the reduced paper


def clone(folder: Path) -> None:
    """Write a clone as it ships, with this environment for its own, whose Snakemake and its jobs start at once."""
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*_ASIDE))
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    for path in (*Path(sys.prefix, "bin").iterdir(), Path(sys.prefix, "lib"), Path(sys.prefix, "pyvenv.cfg")):
        (folder / ".venv" / path.relative_to(sys.prefix)).symlink_to(path)
    (programs / "snakemake").unlink()
    (programs / "snakemake").write_text(f'#!/bin/sh\nexec {warm.python()} {sys.prefix}/bin/snakemake "$@"\n')
    (programs / "snakemake").chmod(0o755)
    (folder / ".venv" / ".installed").touch()


def run(root: Path, command: list[str], folder: Path | None = None, **environment: str) -> str:
    """Run a command of a clone in it, or in another folder; everything that it said."""
    place = {"PYTHONPATH": str(root / "workflow"), "PATH": f"{root}/.venv/bin:{os.environ['PATH']}"}
    environment = {**os.environ, **place, **environment}
    done = subprocess.run(command, cwd=folder or root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def reduce(folder: Path) -> None:
    """Reduce the configurations of a clone, and write the data that they ask their user for."""
    for name, less in _LESS.items():
        path = folder / "config" / f"{name}.yaml"
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        kept = raw.get("networks", {})
        raw |= {**_LEAST, **less}
        for spec in raw["datasets"].values():
            spec |= {"samples": 2, **_FEW.get(spec["kind"], {})}
            if "sweeps" in raw:
                spec["threshold"] = 0.02
            if name == "config" and spec["kind"] == "signs":
                spec["samples"] = 20  # as many as a verdict needs, for the README's table
        for sweep in raw.get("sweeps", {}).values():
            _shorten(sweep)
        for spec in kept.values():
            if "training" in spec:
                spec["training"] |= {"epochs": 2}
        if name == "paper":
            _supply(folder / "data", kept)
        if name == "sensitivity":
            # Among its readings are thresholds up to 0.999.
            for network, spec in kept.items():
                del spec["training"]
                spec["weights"] = _sure(spec["factory"], folder / f"{network}.safetensors")
        path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    for name, changes in _BENCHMARKS.items():
        path = folder / "benchmarks" / name
        text = path.read_text(encoding="utf-8")
        for old, new in changes.items():
            text, count = re.subn(old, new, text, flags=re.DOTALL | re.MULTILINE)
            assert count == 1
        path.write_text(text, encoding="utf-8")


def _shorten(sweep: dict[str, Any]) -> None:
    factors = sweep["factors"]
    of_first, training, seed = factors
    for level in factors[of_first].values():
        level.get("training", {}).pop("epochs", None)
    sweep["common"]["training"] |= {"epochs": 1}
    factors[training] = dict([*factors[training].items()][:: len(factors[training]) - 1])
    factors[seed] = dict([*factors[seed].items()][:1])
    del sweep["exclude"]


def _supply(data: Path, specs: dict[str, Any]) -> None:
    """What configurations ask their user for: images, all of one class, and weights that say that class."""
    ids = [f"n{number:08}" for number in range(1000)]
    for name in ids:
        (data / "imagenet" / "val" / name).mkdir(parents=True)
    (data / "imagenet" / "wnids.txt").write_text("\n".join(ids))
    _images(data / "imagenet" / "val" / ids[_SEEN], "JPEG", 4, side=260)
    _images(data / "gtsrb" / "GTSRB" / "Training" / f"{_SEEN:05}", "ppm", 64, side=30)
    frames = _images(data / "gtsrb" / "GTSRB" / "Final_Test" / "Images", "ppm", 4, side=30)
    rows = [f"{frame};{_SEEN}" for frame in frames]
    (data / "gtsrb" / "GT-final_test.csv").write_text("\n".join(["Filename;ClassId", *rows]))
    published = data / "imagenet" / "bvlc_googlenet" / "weights.npz"
    published.parent.mkdir()
    (data / "bvlc_googlenet.py").write_text(_GOOGLENET)
    weights = load_file(_sure("torchvision:googlenet", data / "googlenet.safetensors"))
    arrays: dict[str, Any] = {name: value.numpy() for name, value in weights.items()}
    np.savez(published, **arrays)
    for name, spec in specs.items():
        if spec["factory"].startswith("torchvision:"):
            spec["weights"] = _sure(spec["factory"], data / f"{name}.safetensors")


def _sure(factory: str, path: Path) -> str:
    """Weights with which a network is sure that all are of that class, and a little moved by the image; their place."""
    module = model.build(NetworkSpec("sure", "any", factory), pretrained=False)
    head = [part for part in module.modules() if isinstance(part, nn.Linear)][-1]
    with torch.no_grad():
        head.weight.mul_(1e-3)
        head.bias[_SEEN] = 20
    save_file(module.state_dict(), path)
    return str(path)


def _images(folder: Path, kind: str, count: int, side: int) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(count)
    names = [f"{number:05}_00000.{kind}" for number in range(count)]
    for name in names:
        Image.fromarray(generator.integers(0, 256, (side, side + 4, 3), dtype=np.uint8)).save(folder / name)
    return names
