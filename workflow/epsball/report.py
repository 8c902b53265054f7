"""The report: one HTML file that opens offline."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml
from PIL import Image

from epsball import provenance
from epsball.chapters import CHAPTERS
from epsball.claims import ALL_NETWORKS, ENOUGH_SAMPLES
from epsball.config import Config
from epsball.datasets import open_pool
from epsball.figures import names
from epsball.results import Results
from epsball.selection import eligible

_THUMBNAIL = 96  # pixels


def report(config: Config, folder: Path, captions: Mapping[str, str]) -> str:
    """Write the report of a run.

    Args:
        config: of the run.
        folder: of the run.
        captions: text of each figure's caption.

    Returns:
        The page, HTML, with all pictures inside.
    """
    results = Results(config, folder)
    claims = pd.read_csv(folder / "claims.tsv", sep="\t").fillna({"control": "", "dataset": ""})
    chapters = [chapter for chapter in CHAPTERS if chapter.figure in names(config)]
    told = {chapter.figure for chapter in chapters}
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("epsball", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = _number
    page: str = environment.get_template("report.html.j2").render(
        config=config,
        claims=[(name, rows.to_dict("records")) for name, rows in claims.groupby("claim", sort=False)],
        figures=[_figure(folder, name, captions[name]) for name in names(config) if name not in told],
        chapters=[
            {
                "title": chapter.title,
                "says": chapter.says(results, claims),
                "caveat": chapter.caveat,
                **_figure(folder, chapter.figure, captions[chapter.figure]),
            }
            for chapter in chapters
        ],
        datasets=[_dataset(results, name) for name in config.datasets],
        networks=[_network(results, name) for name in config.networks],
        enough=ENOUGH_SAMPLES,
        all_networks=ALL_NETWORKS,
        configuration=yaml.safe_dump(_plain(config), sort_keys=False, allow_unicode=True),
        versions=provenance.versions(),
    )
    return page


def _figure(folder: Path, name: str, caption: str) -> dict[str, str]:
    data = base64.b64encode((folder / "figures" / f"{name}.png").read_bytes()).decode()
    return {"name": name, "picture": f"data:image/png;base64,{data}", "caption": caption.strip()}


def _dataset(results: Results, name: str) -> dict[str, Any]:
    spec = results.config.datasets[name]
    samples = results.samples(name)
    pool = open_pool(spec, results.folder / "datasets" / name)
    numbers = {image: number for number, image in enumerate(pool.names)}
    scores = [column for column in map(str, samples.columns) if column.startswith("score_")]
    shown = [
        {
            "picture": _thumbnail(pool.read(numbers[row["image"]])),
            "name": row["image"],
            "label": row["label"],
            "sample": row["sample"],
            "scores": [(column.removeprefix("score_"), row[column]) for column in scores],
        }
        for row in samples.to_dict("records")
    ]
    surveyed = set(results.survey(results.config.networks_of(name)[0].name)["image"])
    skipped = [image for image in pool.names if image not in surveyed]
    return {"spec": spec, "pool": len(pool), "skipped": skipped, "found": len(samples), "samples": shown}


def _thumbnail(pixels: Any) -> str:
    image = Image.fromarray(pixels)
    image.thumbnail((_THUMBNAIL, _THUMBNAIL))
    held = io.BytesIO()
    image.save(held, "PNG")
    return f"data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}"


def _network(results: Results, name: str) -> dict[str, Any]:
    card = results.card(name)
    survey = results.survey(name)
    threshold = results.config.datasets[card["dataset"]].threshold
    right = survey["prediction"] == survey["label"]
    return {
        **card,
        "surveyed": len(survey),
        "survey_accuracy": float(right.mean()),
        "threshold": threshold,
        "eligible": int(eligible(survey, threshold).sum()),
        "extremes": [float(survey["feature_min"].min()), float(survey["feature_max"].max())],
    }


def _plain(config: Config) -> Any:
    return json.loads(json.dumps(dataclasses.asdict(config)))


def _number(value: Any) -> str:
    """Three significant digits; a dash where there is no number."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:.3g}"
