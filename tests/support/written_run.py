"""Tables of a run that never ran, with values that are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from epsball.config import load_config
from epsball.probes import PAPERS, PROBES
from epsball.runs.files import write_table

MINIMAL: dict[str, Any] = {
    "radii": [1, 10],
    "draws": 40,
    "datasets": {"mine": {"kind": "arrays", "root": "unused.npz"}},
    "networks": {"net": {"dataset": "mine", "factory": "a.b:c"}},
}
MINIMAL_RUN = load_config(MINIMAL)
WITH_EXTRA_PROBES = load_config({**MINIMAL, "extra_probes": [name for name in PROBES if name not in PAPERS]})


def write_run(
    folder: Path,
    *,
    samples: int,
    growth: float,
    floor: float,
    radii: tuple[float, ...] = (0.0, 0.1, 1.0, 10.0),
    topology: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table,
) -> None:
    """Tables of a run of one network: ranges 0, 0.001, then growing with each radius; permuted, twice that."""
    names = [f"s{number}" for number in range(samples)]
    frame = pd.DataFrame(
        {"sample": names, "image": names, "label": 0, "seed": 1, "shard": 0, "digest": names, "score_net": 0.995}
    )
    write_table(folder / "samples" / "mine.csv", frame)
    rows = pd.DataFrame(
        [(name, radius, place) for name in names for place, radius in enumerate(radii)],
        columns=["sample", "radius", "place"],
    )
    size = np.where(rows["place"] == 0, 0, 0.001 * growth ** (rows["place"] - 1.0))
    for probe_name, factor in (("isotropy", 1), ("symmetry", 2)):
        table = rows.assign(
            range=factor * size, margin_range=factor * size, margin_min=5.0, noise_floor=floor, margin_noise_floor=floor
        )
        table = table.assign(score_mean=0.99 - 0.01 * rows["place"], misclassified=np.where(rows["place"] > 2, 0.1, 0))
        write_table(folder / "metrics" / "net" / f"{probe_name}.parquet", table)
    rho = np.where(rows["place"] == 0, np.nan, 0.05)
    write_table(folder / "metrics" / "net" / "topology.parquet", topology(rows.assign(rho=rho, p_value=0.5)))
    d_in = rows["radius"] / 2
    ratio = np.where(rows["radius"] == 0, np.nan, 1.5)
    write_table(
        folder / "metrics" / "net" / "lipschitz.parquet",
        rows.assign(draw=0, d_in=d_in, d_out=1.5 * d_in, ratio=ratio, ratio_raw=ratio),
    )
    ends = rows[rows["radius"].isin((0.0, radii[-1]))].assign(p_value=0.001, condition=99.0)
    ends["rho_half1"] = ends["rho_half2"] = np.linspace(0, 1, len(ends))
    ends["rho"], ends["distance"], ends["shuffled"] = (
        np.where(ends["radius"] == 0, np.nan, x) for x in (0.8, 0.2, 0.7)
    )
    for probe_name in ("topology_mixed_radius", "alpha", "alpha_mixed_radius"):
        write_table(folder / "metrics" / "net" / f"{probe_name}.parquet", ends)
    _write_further(folder, rows, size)


def _write_further(folder: Path, rows: pd.DataFrame, size: np.ndarray) -> None:
    """Tables of the probes beyond the paper, with values at random that grow with the radius."""
    generator = np.random.default_rng(0)
    metrics = folder / "metrics" / "net"
    beyond = rows[rows["radius"] > 0]
    names = rows["sample"].unique()
    for name, factor in (("pixels", 1), ("channels", 1), ("patches", 1), ("low_frequency", 0.2)):
        ranges = rows.assign(range=factor * size, margin_range=factor * size, margin_min=5.0)
        write_table(metrics / f"symmetry_{name}.parquet", ranges)
    write_table(metrics / "isotropy_low_frequency.parquet", rows.assign(range=size, margin_range=size, margin_min=5.0))
    one = pd.DataFrame({"sample": names, "margin": generator.uniform(5, 9, len(names))})
    write_table(metrics / "gradient.parquet", one.assign(gradient_margin=generator.uniform(1, 2, len(names))))
    shares = {
        f"{quantity}_{order}": 1 - beyond["place"] / 5
        for quantity in ("score", "margin")
        for order in ("first", "second")
    }
    write_table(metrics / "expansion.parquet", beyond.assign(**shares))
    layers = beyond.merge(pd.DataFrame({"depth": range(4), "layer": ["image", "conv", "pool", "fc"]}), how="cross")
    layers = layers.assign(rho=1 - layers["depth"] / 5, relative=1.0 + layers["depth"], kind="")
    write_table(
        metrics / "depth.parquet", pd.concat([layers.assign(family=name) for name in ("uniform", "mixed_radius")])
    )
    columns = ("sampled_rms", "sampled_max", "jacobian_norm", "margin_gradient", "clever_largest", "clever_lipschitz")
    bounds = one.assign(
        **{name: 10.0**place for place, name in enumerate(columns)}, global_bound=np.nan, clever_score=0.3
    )
    write_table(
        metrics / "lipschitz_bounds.parquet", bounds.assign(unavailable="mul of two tensors is not on the list")
    )
    directions = pd.DataFrame(
        {"kind": ["random"] * 3 + ["attack"] * 2, "direction": ["0", "1", "2", "fgsm", "deepfool"]}
    )
    found = beyond.merge(directions, how="cross")
    distance = generator.uniform(0.5, 1.5, len(names)).repeat(len(found) // len(names))
    distance = np.where(found["kind"] == "random", np.where(found["direction"] == "2", np.inf, 40 * distance), distance)
    found = found.assign(
        score=1 / (1 + found["radius"]),
        distance=distance,
        censored=np.isinf(distance),
        hyperplane_ratio=20.0,
        search_limit=80.0,
    )
    write_table(metrics / "boundary.parquet", found)
    filters = pd.DataFrame({"filter": range(5), "measured": 10.0 ** np.arange(5)})
    filters = filters.merge(
        pd.DataFrame({"family": ["permuted", "low_frequency", "permuted_low_frequency"]}), how="cross"
    )
    filters = filters.merge(one[["sample"]], how="cross").assign(spread=0.1)
    write_table(metrics / "frequency.parquet", filters.assign(white=filters["measured"], parseval=filters["measured"]))
