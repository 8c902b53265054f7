"""Tell how ratios depend on the number of images behind g and h, into its page: python docs/pool.py, after a run.

A survey has the extremes of each image, so that smaller pools are drawn from it without a pass.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from epsball.analysis.run import open_run
from epsball.probes.normalisers import scales
from marked import put, table

ROOT = Path(__file__).parents[1]
SIZES = (20, 50, 100, 500)
POOLS = 1000  # of each size
NO_FEATURES = pd.DataFrame({"minimum": [], "maximum": []})  # those of g per feature are not in a survey


def ratio_scale(survey: pd.DataFrame) -> float:
    """Return the factor by which ratios are scaled, that of g over that of h."""
    found = scales(survey, NO_FEATURES)
    return found.g / found.h


def inflation(survey: pd.DataFrame, size: int) -> tuple[float, float]:
    """Return median and 95th percentile, over random pools, of the ratios' size relative to that of the whole pool."""
    generator = np.random.default_rng(size)
    places = (generator.choice(len(survey), size, replace=False) for _ in range(POOLS))
    relative = np.array([ratio_scale(survey.iloc[place]) for place in places]) / ratio_scale(survey)
    return float(np.median(relative)), float(np.quantile(relative, 0.95))


def main(folder: Path) -> None:
    """Write a row for each network whose pool is large enough."""
    run = open_run(folder)
    rows = []
    for network in run.networks:
        survey = run.survey(network)
        if len(survey) > max(SIZES):
            found = (inflation(survey, size) for size in SIZES)
            rows.append([network, len(survey), *(f"{middle:.2f} ({high:.2f})" for middle, high in found)])
    head = ["network", "images in all", *(f"{size} images" for size in SIZES)]
    put(ROOT / "docs" / "explanation" / "lipschitz.md", "pools", table(head, rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", default=ROOT / "results" / "default")
    main(parser.parse_args().run)
