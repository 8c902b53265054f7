"""Write figure 1 and the verdicts of the default run into the README: python docs/default.py, after make reproduce."""

from __future__ import annotations

import shutil
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from epsball.analysis.claims import ALL_NETWORKS, MIN_SAMPLES, Verdict
from epsball.analysis.run import read_claims
from marked import put, table

DOCS = Path(__file__).parent
RUN = DOCS.parent / "results" / "default"


def main() -> None:
    """Copy the figure and write one row for each claim of the paper, over the networks with enough samples."""
    shutil.copy(RUN / "figures" / "fig1_isotropy.png", DOCS)
    claims = read_claims(RUN / "claims.tsv")
    own = (claims["control"] == "") & (claims["network"] != ALL_NETWORKS)
    judged = claims[own & (claims["kind"] == "paper") & (claims["samples"] >= MIN_SAMPLES)]
    networks = list(judged["network"].unique())
    rows = []
    for claim, alike in judged.groupby("claim", sort=False):
        of = {row["network"]: row for row in alike.to_dict("records")}
        beside = claims[(claims["claim"] == claim) & claims["network"].isin(networks) & (claims["control"] != "")]
        rows.append([claim, *(_verdict(of[name]) for name in networks), _alike(beside)])
    linear = [pd.read_parquet(RUN / "metrics" / f"{name}~random-projection" / "topology.parquet") for name in networks]
    rho = max(one.groupby("radius")["rho"].median().max() for one in linear)
    control = (
        "A low ρ alone does not show that a network changes topology: at one radius all distances are nearly equal. "
        f"Even a random linear projection has a median ρ of at most {rho:.2f} at any radius. These networks are below "
        "that, and so are [their linearisations](docs/beyond.md)."
    )
    head = ["claim of the paper", *networks, "equivalent to"]
    put(DOCS.parent / "README.md", "default run", [*table(head, rows), "", control])


def _alike(rows: pd.DataFrame) -> str:
    """Controls to which all networks are equivalent, for a claim, with the ratios or differences of each."""
    alike = rows.groupby("control", sort=False).filter(
        lambda same: (same["adjusted_verdict"] == Verdict.EQUIVALENT).all()
    )
    return (
        "; ".join(
            f"{control}: "
            + ", ".join(
                f"{row.difference:.3g} ({row.difference_low:.3g} to {row.difference_high:.3g})"
                for row in same.itertuples()
            )
            for control, same in alike.groupby("control", sort=False)
        )
        or "–"
    )


def _verdict(row: Mapping[Hashable, Any]) -> str:
    return f"{row['adjusted_verdict']}: {row['estimate']:.2g} ({row['ci_low']:.2g} to {row['ci_high']:.2g})"


if __name__ == "__main__":
    main()
