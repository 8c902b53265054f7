"""The report: one HTML file that opens offline."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from epsball.analysis.claims import ALL_NETWORKS, MIN_SAMPLES, given, unanswered
from epsball.analysis.run import Run
from epsball.config import Config
from epsball.data import open_pool
from epsball.networks import licences
from epsball.reporting.chapters import CHAPTERS
from epsball.reporting.figures import names
from epsball.reporting.html import draws, pictures, probe_chapters
from epsball.reporting.html.charts import CHARTS, SAMPLES, chart
from epsball.reporting.html.template import matrix, packed, render
from epsball.runs import provenance
from epsball.stages.select import eligible

LIMIT = 15_000_000  # bytes of the page


def report(config: Config, folder: Path, captions: Mapping[str, str]) -> str:
    """Write the report of a run.

    Args:
        config: of the run.
        folder: of the run.
        captions: text of each figure's caption.

    Returns:
        The page, HTML, with all pictures inside.
    """
    results = Run(config, folder)
    figures = {name: _figure(folder, name, captions[name]) for name in names(config)}
    claims = results.claims
    claims["row"] = range(len(claims))
    charts = packed({name: chart(name, results) for name in CHARTS})
    chapters = _probe_chapters(results, figures)
    beyond = _beyond(results, claims, figures)
    told = {figure["name"] for chapter in (*chapters, *beyond) for figure in chapter["figures"]}
    spent = len(charts) + sum(len(figure["picture"]) for figure in figures.values()) + _rest(results)
    datasets = _datasets(results, min(draws.BUDGET, max(LIMIT - spent, 0)))
    page: str = render(
        "report.html.j2",
        config=config,
        radii=config.ball.radii,
        claims=[(name, _judged(rows)) for name, rows in claims.groupby("claim", sort=False)],
        matrices=_matrices(config, claims),
        verdicts=given(claims["verdict"]),
        probe_chapters=chapters,
        beyond=beyond,
        other_figures=[figure for name, figure in figures.items() if name not in told],
        charts=charts,
        chart_samples=SAMPLES,
        opened={key: sample for dataset in datasets for key, sample in dataset["opened"].items()},
        datasets=datasets,
        networks=[_network(results, name) for name in config.networks],
        enough=MIN_SAMPLES,
        unanswered=unanswered(config),
        all_networks=ALL_NETWORKS,
        configuration=yaml.safe_dump(_plain(config), sort_keys=False, allow_unicode=True),
        versions=provenance.versions(),
    )
    return page


def _rest(results: Run) -> int:
    """Bytes that the page takes, about, beside charts, figures and draws: library, text, thumbnails and scores."""
    config = results.config
    of_samples = (
        len(results.samples(name)) * (5_000 + 30 * len(config.networks_of(name)) * len(config.ball.radii))
        for name in config.datasets
    )
    return 2_500_000 + sum(of_samples)


def _figure(folder: Path, name: str, caption: str) -> dict[str, str]:
    picture = pictures.png(folder / "figures" / f"{name}.png")
    # The first sentence, and the one after a bare number: "Figure 1. Isotropy (Eq. 4). Range of …"
    title, rest = re.split(r"(?<!^Figure \d)(?<!Eq)\. ", caption.strip(), maxsplit=1)
    return {"name": name, "picture": picture, "title": title, "caption": rest}


def _probe_chapters(results: Run, figures: Mapping[str, dict[str, str]]) -> list[dict[str, Any]]:
    return [
        {
            **{key: getattr(chapter, key) for key in ("probe", "title", "question", "caveat", "charts")},
            "says": chapter.says(results),
            "figures": [figures[name] for name in chapter.figures],
        }
        for chapter in probe_chapters.CHAPTERS
    ]


def _beyond(results: Run, claims: pd.DataFrame, figures: Mapping[str, dict[str, str]]) -> list[dict[str, Any]]:
    return [
        {
            "title": chapter.title,
            "says": chapter.says(results, claims),
            "caveat": chapter.caveat,
            "figures": [figures[chapter.figure]],
        }
        for chapter in CHAPTERS
        if chapter.figure in figures
    ]


def _judged(rows: pd.DataFrame) -> dict[str, list[dict[Hashable, Any]]]:
    """The rows of a claim: of the networks, and of their controls."""
    compared = rows["control"] != ""
    return {"own": rows[~compared].to_dict("records"), "controls": rows[compared].to_dict("records")}


def _matrices(config: Config, claims: pd.DataFrame) -> list[dict[str, Any]]:
    """The paper's claims, and the comparisons beyond it, each with the networks that they are said of."""
    papers = claims["kind"] == "paper"
    found = []
    for title, rows in (("The paper's claims", claims[papers]), ("Beyond the paper", claims[~papers])):
        columns = [name for name in (*config.networks, ALL_NETWORKS) if (rows["network"] == name).any()]
        if columns:
            found.append({"title": title, "columns": columns, "rows": matrix(rows, columns)})
    return found


def _datasets(results: Run, budget: int) -> list[dict[str, Any]]:
    found = []
    for place, name in enumerate(results.config.datasets):
        found.append(_dataset(results, name, budget // (len(results.config.datasets) - place)))
        budget -= found[-1]["bytes"]
    return found


def _dataset(results: Run, name: str, budget: int) -> dict[str, Any]:
    config = results.config
    spec, samples = config.datasets[name], results.samples(name)
    pool = open_pool(spec, results.folder / "datasets" / name)
    networks = [network.name for network in config.networks_of(name)]
    tables = {network: {probe: results.metrics(probe, network) for probe in draws.PROBES} for network in networks}
    opened = draws.open_samples(samples, pool, tables, config.ball, budget)
    shown: list[dict[str, Any]] = []
    for row in samples.to_dict("records"):
        scores = opened.samples[row["sample"]]["scores"].values()
        wrong = any(value > 0 for probes in scores for columns in probes.values() for value in columns["misclassified"])
        facts = {key: row[key] for key in ("image", "label", "sample")}
        clean = {network: float(row[f"score_{network}"]) for network in networks}
        shown.append(
            {**facts, "dataset": name, "key": f"{name}-{row['sample']}", "wrong": wrong, "clean_scores": clean}
        )
    surveyed = set(results.survey(networks[0])["image"])
    return {
        "spec": spec,
        "terms": licences.of_images(spec),
        "pool": len(pool),
        "networks": networks,
        "skipped": [image for image in pool.names if image not in surveyed],
        "found": len(samples),
        "samples": shown,
        "thumbnails": {sample["key"]: opened.samples[sample["sample"]].pop("thumbnail") for sample in shown},
        "opened": {sample["key"]: {**sample, **opened.samples[sample["sample"]]} for sample in shown},
        "radii": opened.radii,
        "all_radii": len(opened.radii) == len(config.ball.radii) - 1,
        "all_probes": len(opened.probes) == len(draws.PROBES),
        "without": opened.without,
        "bytes": opened.bytes,
    }


def _network(results: Run, name: str) -> dict[str, Any]:
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
