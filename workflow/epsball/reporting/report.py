"""The report: one HTML file that opens offline."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from epsball.analysis.claims import ALL_NETWORKS, JUDGED, MIN_SAMPLES, given, unanswered
from epsball.analysis.run import Run
from epsball.config import NORMS, Config, DatasetSpec
from epsball.controls import chosen_controls
from epsball.data import open_pool, terms
from epsball.probes import chosen_probes
from epsball.probes.normalisers import ENOUGH_IMAGES
from epsball.reporting import pictures
from epsball.reporting.chapters import CHAPTERS
from epsball.reporting.class_names import described
from epsball.reporting.figures import reads
from epsball.reporting.html.charts import CHARTS, chart
from epsball.reporting.html.template import packed, render
from epsball.reporting.paper_chapters import PROBE_CHAPTERS
from epsball.reporting.summary_text import LEGIBLE
from epsball.runs import provenance_records, versions
from epsball.stages import panels, report_size
from epsball.stages.select import eligible, of_network


def report(config: Config, folder: Path, captions: Mapping[str, str]) -> str:
    """Return the report of a run as HTML, with all pictures inside; `captions` has the caption of each figure."""
    run = Run(config, folder)
    figures = pictures.figures(config, folder, captions)
    claims = run.claims
    claims["row"] = range(len(claims))
    charts = packed({name: chart(name, run) for name in CHARTS})
    of_probes = {probe: chapter(run) for probe, chapter in PROBE_CHAPTERS.items()}
    beyond = {name: chapter(run, claims) for name, chapter in CHAPTERS.items() if name in figures}
    of_chapters = [*of_probes.values(), *beyond.values()]
    in_chapters = {"overview_claims", *beyond, *(name for chapter in of_chapters for name in chapter.figures)}
    samples = {name: run.samples(name) for name in run.datasets}
    sizes = {name: report_size.selected(config, name, table) for name, table in samples.items()}
    rest = report_size.text_size(config, sizes)
    budget = report_size.budget(len(charts) + pictures.size(figures) + rest)
    made_with = provenance_records.made_with(folder / "claims.tsv")
    plain = json.loads(json.dumps(dataclasses.asdict(config)))  # lists, where the configuration has tuples
    datasets: list[dict[str, Any]] = []
    for place, name in enumerate(run.datasets):
        # What one leaves of its share of the budget goes to the next ones.
        datasets.append(_dataset(run, name, samples[name], budget // (len(run.datasets) - place)))
        budget -= datasets[-1]["panels"].bytes
    return render(
        "report.html.j2",
        config=config,
        norm=NORMS[config.ball.norm][1],
        parts=_parts(config, claims),
        long=len(config.networks) > LEGIBLE,
        factors=_factors(config),
        verdicts=given(claims["adjusted_verdict"]),
        together=int(claims["verdict"].isin(JUDGED).sum()),
        probe_chapters=of_probes,
        beyond=beyond,
        figures=figures,
        other_figures=[name for name in figures if name not in in_chapters],
        charts=charts,
        chart_samples=report_size.charted(config),
        datasets=datasets,
        panels={sample["key"]: sample for dataset in datasets for sample in dataset["samples"]},
        networks=[_network(run, name) for name in config.networks],
        min_samples=MIN_SAMPLES,
        unanswered=[*unanswered(config), *_without_floor(run), *_rounding(run), *_few_images(run)],
        gaps=list(run.gaps(*run.probes)),
        gaps_of={name: list(run.gaps(*set(reads(name)).intersection(chosen_probes(config)))) for name in beyond},
        controls=chosen_controls(config),
        all_networks=ALL_NETWORKS,
        configuration=yaml.safe_dump(plain, sort_keys=False, allow_unicode=True),
        versions=made_with,
        mixture=versions.mixture(made_with),
    )


def _without_floor(run: Run) -> Iterator[str]:
    """Yield a sentence for each network of which no noise floor is known."""
    for network in run.networks:
        if run.metrics("isotropy", network)["noise_floor"].isna().any():
            yield (
                f"The noise floor of {network} is not available: the network does not compute in float64. Its ranges "
                "may be rounding alone."
            )


def _rounding(run: Run) -> Iterator[str]:
    """Yield a sentence for each network that rounds its images."""
    for network in run.networks:
        if to := run.card(network).get("rounds_images_to"):
            yield (
                f"{network} rounds its images to {to}: of perturbations that are no larger than its steps, ranges and "
                "ratios are those of the rounding."
            )


def _few_images(run: Run) -> Iterator[str]:
    """Yield a sentence for each dataset of which few images are behind g of Eq. 9."""
    for dataset in run.datasets:
        images = len(run.survey(run.config.networks_of(dataset)[0].name))
        if images < ENOUGH_IMAGES:
            yield (
                f"g of Eq. 9 is of {images} images of {dataset}. With fewer than {ENOUGH_IMAGES} the span of the "
                "features may be too small, and ratios too large: with 20, often 1.3-fold in one network."
            )


def _parts(config: Config, claims: pd.DataFrame) -> list[dict[str, Any]]:
    """Split the claims into those of the paper and those beyond it, with the networks that they are about."""
    paper = claims["kind"] == "paper"
    found = []
    for title, rows in (("The paper's claims", claims[paper]), ("Beyond the paper", claims[~paper])):
        networks = [name for name in (*config.networks, ALL_NETWORKS) if (rows["network"] == name).any()]
        by_claim = [(name, same.to_dict("records")) for name, same in rows.groupby("claim", sort=False)]
        found.append({"title": title, "networks": networks, "claims": by_claim})
    return [part for part in found if part["networks"]]


def _factors(config: Config) -> dict[str, dict[str, str]]:
    """Return the level of each network, by factor."""
    names = dict.fromkeys(factor for spec in config.networks.values() for factor in spec.factors)
    return {
        factor: {name: spec.factors[factor] for name, spec in config.networks.items() if factor in spec.factors}
        for factor in names
    }


def _dataset(run: Run, name: str, samples: pd.DataFrame, budget: int) -> dict[str, Any]:
    spec = run.config.datasets[name]
    pool = open_pool(spec, run.folder / "datasets" / name)
    networks = [network.name for network in run.config.networks_of(name)]
    drawn = panels.read(run.folder / "illustrations" / f"{name}.json")
    drawn.cut(budget)
    class_names = run.class_names(name)
    surveyed = set(run.survey(networks[0])["image"])
    return {
        "spec": spec,
        "terms": terms(spec),
        "pool": len(pool),
        "networks": networks,
        "sure": _sure(spec, len(networks)),
        "found": len(samples),
        "fewest": min(len(of_network(samples, network)) for network in networks),
        "skipped": [image for image in pool.names if image not in surveyed],
        "panels": drawn,
        "samples": [
            {
                **{key: row[key] for key in ("image", "label", "sample")},
                "key": f"{name}-{row['sample']}",
                "classes": _classes(drawn.samples[row["sample"]], row["label"], class_names),
                "clean_scores": {network: row[f"score_{network}"] for network in networks},
                **drawn.samples[row["sample"]],
            }
            for row in samples[samples["sample"].isin(drawn.samples)].to_dict("records")
        ],
    }


def _sure(spec: DatasetSpec, networks: int) -> str:
    """Say who is sure of the samples of a dataset, up to the verb."""
    if networks == 1:
        return "its network is"
    match spec.selection:
        case "all":
            return "all its networks are"
        case "share":
            return f"at least {spec.share:.0%} of its networks, and each that is measured on them, are"
        case "each":
            return "each of its networks that is measured on them is"


def _classes(panel: Mapping[str, Any], label: int, class_names: Sequence[str]) -> dict[int, str]:
    """Return the classes that the panel of a sample shows, in words: its own and those predicted."""
    shown = {
        draw["prediction"]
        for of_network in panel.get("draws", {}).values()
        for draws in of_network.values()
        for draw in draws
    }
    return {number: described(number, class_names) for number in sorted({label, *shown})}


def _network(run: Run, name: str) -> dict[str, Any]:
    card, survey = run.card(name), run.survey(name)
    threshold = run.config.datasets[card["dataset"]].threshold
    return {
        **card,
        "surveyed": len(survey),
        "survey_accuracy": float((survey["prediction"] == survey["label"]).mean()),
        "threshold": threshold,
        "eligible": int(eligible(survey, threshold).sum()),
        "extremes": [float(survey["feature_min"].min()), float(survey["feature_max"].max())],
    }
