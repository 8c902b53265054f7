"""A small run by the real stages in this process, without Snakemake: what the report's tests look at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from epsball.analysis.run import Run
from epsball.analysis.verdicts import judge
from epsball.config import Config, load_config
from epsball.data import open_pool
from epsball.networks import forward
from epsball.networks.model import restore
from epsball.probes import Context, chosen_probes, families, family_of
from epsball.probes.normalisers import scales
from epsball.reporting import figures
from epsball.runs.files import write_table
from epsball.stages import report_size, select
from epsball.stages.build_network import build_network
from epsball.stages.draws import make_panels
from epsball.stages.extract import extract
from epsball.stages.illustrate import illustrate
from epsball.stages.measure import measure
from epsball.stages.panels import SHOWN
from epsball.stages.perturb import perturb
from epsball.stages.survey import survey

from support.study import BASE, PLAIN_FACTORY
from support.toys import ROOT, pictures

CLASS_NAMES = ("red", "<b>green</b> $&$", "blue")  # one of a folder's name


def make_run(folder: Path, size: int = 10, drawn: bool = True, **changes: Any) -> tuple[Config, Path]:
    """Everything of a run below its report.

    Args:
        folder: for the run and what it is given.
        size: of its images, in pixels.
        drawn: whether with its figures.
        **changes: to the configuration of the small study.

    Returns:
        The configuration, and the folder of the run.
    """
    (folder / "factory.py").write_text(PLAIN_FACTORY)
    images, labels = pictures(24, size=size, seed=8)
    np.savez(folder / "squares.npz", images=images, labels=labels)
    raw = {**BASE, **changes, "datasets": {"squares": {"kind": "arrays", "root": str(folder / "squares.npz")}}}
    place = str(folder / "factory.py")
    raw["networks"] = {name: {**entry, "factory": f"{place}:make"} for name, entry in raw["networks"].items()}
    config, run = load_config(raw), folder / "results" / "small"
    forward.configure(config.compute)
    pool, surveys = replace(open_pool(config.datasets["squares"], run), class_names=CLASS_NAMES), {}
    for name, spec in config.networks.items():
        weights = run / "networks" / name / "weights.safetensors"
        build_network(spec, pool, None, config.compute, config.seed, weights, weights.with_name("card.json"))
        surveys[name] = survey(forward.Forward(restore(spec, weights), config.compute), pool, 4, name)
        write_table(run / "survey" / "squares" / f"{name}.parquet", surveys[name].images)
    surveyed = {name: found.images for name, found in surveys.items()}
    samples = select.select(surveyed, config.datasets["squares"], config.seed, 100)
    write_table(run / "samples" / "squares.csv", samples)
    for family in families(config):
        perturb(family, samples, pool, config.ball, run / f"{family}.zarr.zip", {})
    for name, spec in config.networks.items():
        network = forward.Forward(restore(spec, run / "networks" / name / "weights.safetensors"), config.compute)
        for family in families(config):
            path = run / name / f"{family}.zarr.zip"
            extract(family, network, samples, pool, config.ball, config.compute, path, {})
        context = Context(scales(*surveys[name]), config.mantel_permutations)
        for probe in chosen_probes(config):
            family = family_of(probe)
            activations, perturbations = run / name / f"{family}.zarr.zip", run / f"{family}.zarr.zip"
            table = measure(probe, samples, activations, perturbations, config.ball, context)
            write_table(run / "metrics" / name / f"{probe}.parquet", table)
    write_table(run / "claims.tsv", judge(config, run))
    kept = {
        name: (run / "networks" / name / "weights.safetensors", [run / name / "permuted.zarr.zip"])
        for name in config.networks
    }
    illustrate(config, kept, samples, pool, run / "illustrations" / "squares.npz")
    results = Run(config, run)
    scores = pd.concat(results.metrics(probe).assign(probe=probe) for probe in SHOWN)
    budget = report_size.estimated_budget(config, {"squares": report_size.selected(config, "squares", samples)})
    panels = make_panels(samples, pool, scores, config.ball, budget, len(samples))
    panels.write(run / "illustrations" / "squares.json")
    for name in figures.drawn(config) if drawn else ():
        figures.draw(name, config, run, run / "figures" / f"{name}.png")
    return config, run


def captions(config: Config) -> dict[str, str]:
    """Captions of a run's figures."""
    return {name: (ROOT / "workflow" / "report" / f"{name}.rst").read_text() for name in figures.drawn(config)}
