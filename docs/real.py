"""Write figures and claims of the run `real` into the documentation: python docs/real.py, after the run.

Fig. 2 is left out, because it shows photographs that are not ours to publish.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
from marked import put, table

DOCS = Path(__file__).parent
RUN = DOCS.parent / "results" / "real"
FIGURES = (
    "fig1_isotropy",
    "fig1_isotropy_margin",
    "fig3_symmetry",
    "fig4_topology",
    "fig6_lipschitz",
    "training_curves",
    "training_confusion",
)


def main() -> None:
    """Copy the figures, and write the claims between their marks in real.md."""
    for name in FIGURES:
        shutil.copy(RUN / "figures" / f"{name}.png", DOCS / f"real_{name}.png")
    claims = pd.read_csv(RUN / "claims.tsv", sep="\t")
    head = ["claim", "network", "estimate", "95% interval", "bound", "samples", "verdict"]
    rows = [
        (
            row["claim"],
            row["network"],
            f"{row['estimate']:.3g}",
            f"{row['ci_low']:.3g} to {row['ci_high']:.3g}",
            row["bound"],
            row["samples"],
            row["adjusted_verdict"],
        )
        for row in claims.to_dict("records")
    ]
    put(DOCS / "real.md", "claims", table(head, rows))


if __name__ == "__main__":
    main()
