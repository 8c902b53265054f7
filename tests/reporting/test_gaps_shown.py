"""Gaps and networks with probes of their own: claims, figures and report say so, and lose nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from epsball import controls, probes
from epsball.analysis.run import Run
from epsball.analysis.verdicts import judge
from epsball.config import load_config
from epsball.probes import PAPERS, PROBES
from epsball.reporting import figures
from epsball.reporting.chapters import CHAPTERS
from epsball.reporting.figures import style
from epsball.reporting.html.charts import CHARTS, chart
from epsball.runs.files import write_table
from epsball.runs.gaps import LEFT_OUT, UnavailableError, gap
from matplotlib.figure import Figure
from support.written_run import MINIMAL, write_run

EXTRA = [name for name in PROBES if name not in PAPERS]
WHY = "RuntimeError: no forward derivative"


def written(folder: Path, missing: dict[str, str], **changes: Any) -> Run:
    """A run of two networks, whose second has gaps, by probe with their reasons."""
    write_run(folder, samples=30, growth=3.0, floor=1e-6)
    for path in sorted((folder / "metrics" / "net").iterdir()):
        why = missing.get(path.stem, "")
        write_table(folder / "metrics" / "other" / path.name, gap(why) if why else pd.read_parquet(path))
    samples = pd.read_csv(folder / "samples" / "mine.csv")
    write_table(folder / "samples" / "mine.csv", samples.assign(score_other=samples["score_net"]))
    networks = {"net": MINIMAL["networks"]["net"], "other": {**MINIMAL["networks"]["net"], **changes}}
    return Run(load_config({**MINIMAL, "extra_probes": EXTRA, "networks": networks}), folder)


def texts(figure: Figure) -> str:
    return " ".join(" ".join(text.get_text().split()) for ax in figure.axes for text in ax.texts)


def drawn(run: Run, folder: Path, name: str) -> Figure:
    """A figure, drawn and saved."""
    with style.paper():
        figure = (
            figures.figure(name, run) if run.having(*figures.reads(name)) else style.empty(run, figures.reads(name))
        )
        figures.save(figure, folder / f"{name}.png")
    return figure


@pytest.mark.slow
@pytest.mark.parametrize("probe", ["topology_mixed_radius", "frequency", "boundary"])
def test_one_gap_is_marked_everywhere_and_nothing_else_is_lost(tmp_path: Path, probe: str) -> None:
    run, whole = written(tmp_path / "gap", {probe: WHY}), written(tmp_path / "whole", {})
    claims, complete = (judge(one.config, one.folder) for one in (run, whole))
    lost = (claims["verdict"] == "not available") & (complete["verdict"] != "not available")
    across = claims["network"] == "all networks"  # of which one is left
    assert set(claims.loc[lost & ~across, "network"]) <= {"other"}
    assert set(claims.loc[lost & ~across, "unavailable"]) <= {WHY}
    kept = claims[~lost & (claims["network"] == "net")].drop(columns="adjusted_verdict")  # by fewer verdicts
    pd.testing.assert_frame_equal(kept, complete.loc[kept.index, kept.columns])
    assert list(run.gaps(*run.probes)) == [f"{probe} of other is not available: {WHY}."]
    assert run.having(probe) == ["net"]
    assert set(run.metrics(probe)["network"]) == {"net"}
    with pytest.raises(UnavailableError, match=WHY):
        run.metrics(probe, "other")
    for name, chapter in CHAPTERS.items():
        if probe in figures.reads(name):
            assert "nan" not in chapter(run, claims).text
            drawn(run, tmp_path, name)


@pytest.mark.slow
def test_a_panel_says_why_it_is_empty(tmp_path: Path) -> None:
    run = written(tmp_path, dict.fromkeys(EXTRA, WHY))
    for name in ("beyond_lipschitz", "beyond_boundary", "beyond_expansion", "beyond_geometry"):
        assert f"not available: {WHY}" in texts(drawn(run, tmp_path, name))
    for path in (tmp_path / "metrics" / "net").iterdir():
        if path.stem in EXTRA:
            write_table(path, gap(WHY))
    for name in figures.names(run.config):
        if name.startswith("beyond"):
            assert texts(drawn(run, tmp_path, name)).count(f"not available: {WHY}") == 2
    claims = judge(run.config, run.folder)
    assert set(claims.loc[claims["kind"] == "comparison", "verdict"]) <= {"not available", "differs"}
    for name in set(CHAPTERS).intersection(figures.names(run.config)):
        assert "nan" not in CHAPTERS[name](run, claims).text


@pytest.mark.slow
def test_a_network_with_probes_of_its_own(tmp_path: Path) -> None:
    run = written(tmp_path, dict.fromkeys(set(EXTRA) - {"gradient"}, LEFT_OUT), extra_probes=["gradient"])
    config = run.config
    assert probes.chosen_probes(config, "other") == [*PAPERS, "gradient"]
    assert probes.families(config, "other") == ["permuted", "uniform"]
    assert probes.chosen_probes(config) == [*PAPERS, *EXTRA]
    claims = judge(config, run.folder)
    assert not claims["unavailable"].eq(LEFT_OUT).any()
    others = set(claims.loc[claims["network"] == "other", "claim"])
    assert "permuted against redrawn" in others
    assert "boundary against a flat one" not in others
    assert list(run.gaps(*run.probes)) == []
    assert LEFT_OUT in texts(drawn(run, tmp_path, "beyond_depth"))


def test_controls_of_one_network(tmp_path: Path) -> None:
    networks = {"net": MINIMAL["networks"]["net"], "other": {**MINIMAL["networks"]["net"], "controls": []}}
    config = load_config({**MINIMAL, "controls": ["identity"], "networks": networks})
    assert Run(config, tmp_path).controls == ["net~identity"]
    assert controls.chosen_controls(config) == ["identity"]
    assert controls.compared(config, "other", "topology") == []


@pytest.mark.slow
def test_without_a_noise_floor(tmp_path: Path) -> None:
    run = written(tmp_path, {})
    for probe in ("isotropy", "symmetry"):
        path = tmp_path / "metrics" / "other" / f"{probe}.parquet"
        write_table(path, pd.read_parquet(path).assign(noise_floor=float("nan"), margin_noise_floor=float("nan")))
    claims = judge(run.config, run.folder)
    lost = claims[(claims["verdict"] == "not available") & (claims["kind"] == "paper")]
    assert sorted(lost["claim"]) == ["not isotropic at epsilon", "not symmetric"]
    assert set(lost["network"]) == {"other"}
    assert lost["unavailable"].str.contains("float64").all()
    for name in CHARTS:
        json.dumps(shown := chart(name, run), allow_nan=False)
        if name.startswith(("isotropy", "symmetry")):
            names = [trace["name"] for trace in shown["data"] if trace["meta"] == "other"]
            assert names[0].endswith("not available")
            others = [trace for trace in shown["data"] if trace["meta"] == "other" and trace.get("text")]
            assert others
            assert all("not available" in trace["hovertemplate"] for trace in others)
    for name in ("fig1_isotropy", "fig1_isotropy_margin", "fig3_symmetry", "fig3_symmetry_margin"):
        assert texts(drawn(run, tmp_path, name)).count("noise floor not available") == 1
