"""Write the chapters of a run beyond the paper into the documentation: python docs/beyond.py CONFIG, after the run.

Each chapter in <run>.md has its figure, sentences made from the numbers, the numbers, and its caveat.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import yaml
from epsball.analysis.run import Run
from epsball.config import load_config
from epsball.reporting.chapters import CHAPTERS
from epsball.reporting.figures import names
from marked import put, table

DOCS = Path(__file__).parent


def main(configuration: Path) -> None:
    """Write the chapters of a run into its page and copy their figures to the same folder."""
    config = load_config(yaml.safe_load(configuration.read_text(encoding="utf-8")))
    folder = DOCS.parent / "results" / config.run
    results = Run(config, folder)
    claims = results.claims
    samples = ", ".join(f"{len(results.samples(name))} {name}" for name in config.datasets)
    lines = [
        f"Samples: {samples}. T = {config.ball.draws} draws, of which white-box probes use {config.white_box.draws}. "
        "Brackets are 95% intervals over samples; sentences give the smallest and the largest value over the networks."
    ]
    for figure, says in CHAPTERS.items():
        if figure in names(config):
            picture = f"{config.run}_{figure.removeprefix('beyond_')}.png"
            shutil.copy(folder / "figures" / f"{figure}.png", DOCS / picture)
            chapter = says(results, claims)
            lines += ["", f"## {chapter.title}", "", chapter.text, ""]
            lines += [*table(*chapter.table()), ""] if chapter.rows else []
            lines += [f"![{chapter.title}]({picture})", "", f"*{chapter.caveat}*"]
    put(DOCS / f"{config.run}.md", "chapters", lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    main(parser.parse_args().config)
