"""Extend a small study step by step: the jobs that run, and the images that pass a network.

    PYTHONPATH=tests python -m support.extend

prints the table that is in docs/howto/extend.md.
"""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from support.study import TINY, Study

_START: dict[str, Any] = {**TINY, "run": "extended", "draws": 8, "samples": 3, "shard_size": 3}
_HEAVY = ("perturb", "extract", "measure")

_PROBE = '''
"""The norm of the features."""

import numpy as np
from epsball.probes import table

def measure(activations, perturbations, context):
    norm = np.linalg.norm(activations["features"].values, axis=3)
    return table({"norm": norm}, activations, "sample", "radius", "draw")
'''

_FAMILY = '''
"""Half of every element is one sign."""

LARGEST_ONLY = False
KEEPS_FEATURES = False
STREAMS = (99,)

def draw(draws):
    integers = draws.draw_integers(STREAMS[0])
    integers[:, ::2] = integers[:, ::2].abs()
    return draws.scale(integers)
'''


def network(seed: int, sharpness: float) -> dict[str, Any]:
    """A further network on the study's dataset."""
    return {"dataset": "squares", "factory": "factory.py:make", "args": {"seed": seed, "sharpness": sharpness}}


def steps(study: Study) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
    """What is changed, the configuration then, and further tables that are asked for."""
    config = _START
    yield "from nothing", config, []
    yield "nothing", config, []
    config = {**config, "samples": 6}
    yield "3 more samples", config, []
    config = {**config, "threshold": 0.9985}
    yield "a higher threshold", config, []
    config = {**config, "draws": 12}
    yield "4 more draws", config, []
    config = {**config, "radii": [1, 3]}
    yield "another radius", config, []
    library = study.folder / "workflow" / "epsball"
    (library / "probes" / "norms.py").write_text(_PROBE)
    study.edit(
        "workflow/epsball/probes/__init__.py",
        "PROBES = {",
        'PROBES = {"norms": Entry("epsball.probes.norms", "uniform"),',
    )
    config = {**config, "extra_probes": ["norms"]}
    yield "another probe", config, ["norms"]
    (library / "perturbations" / "families" / "onesided.py").write_text(_FAMILY)
    entry = 'FAMILIES = {"onesided": "epsball.perturbations.families.onesided",'
    study.edit("workflow/epsball/perturbations/families/__init__.py", "FAMILIES = {", entry)
    entry = 'PROBES = {"onesided": Entry("epsball.probes.ranges", "onesided"),'
    study.edit("workflow/epsball/probes/__init__.py", "PROBES = {", entry)
    config = {**config, "extra_probes": ["norms", "onesided"]}
    yield "another family, and its probe", config, ["norms", "onesided"]
    config = {**config, "networks": {**config["networks"], "two": network(1, 40)}}
    yield "another network, as sure", config, ["norms", "onesided"]
    config = {**config, "networks": {**config["networks"], "three": network(1, 13)}}
    yield "another network, less sure", config, ["norms", "onesided"]


def extend(study: Study, count: int | None = None) -> pd.DataFrame:
    """Run the steps.

    Args:
        study: where.
        count: how many of them; None for all.

    Returns:
        A row a step: changed; samples (of the selection, and how many of them were in the one before); jobs of perturb,
        extract, measure and all others; images that passed a network in extract, and in other jobs.
    """
    rows: list[dict[str, object]] = []
    before: set[str] = set()
    for changed, config, probes in itertools.islice(steps(study), count):
        run = f"results/{config['run']}"
        tables = [f"{run}/metrics/{name}/{probe}.parquet" for name in config["networks"] for probe in probes]
        logs = _logs(study.folder / run)
        study.run(config, f"{run}/claims.tsv", *tables)
        after = _logs(study.folder / run)
        jobs = Counter(name.split("/")[0] for name, when in after.items() if logs.get(name) != when)
        passes = study.passes()
        chosen = set(pd.read_csv(study.folder / run / "samples" / "squares.csv")["sample"])
        rows.append(
            {
                "changed": changed,
                "samples": f"{len(chosen)}, {len(chosen & before)} kept",
                **{rule: jobs.pop(rule, 0) for rule in _HEAVY},
                "other jobs": sum(jobs.values()),
                "images in extract": passes.pop("extract", 0),
                "elsewhere": sum(passes.values()),
            }
        )
        before = chosen
        print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def _logs(run: Path) -> dict[str, int]:
    """When each job of a run last began."""
    folder = run / "logs"
    jobs = (path for path in folder.rglob("*.log") if path != folder / "progress.log")  # that one is of the whole run
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in jobs}


def markdown(table: pd.DataFrame) -> str:
    """The table as the page has it."""
    names = list(map(str, table.columns))
    rows: list[list[str]] = [names, ["---"] * len(names), *table.astype(str).to_numpy().tolist()]
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def main() -> None:
    """The command line."""
    with tempfile.TemporaryDirectory() as folder:
        print(markdown(extend(Study(Path(folder)))))


if __name__ == "__main__":
    main()
