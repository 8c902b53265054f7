"""Figures of many networks: pages of six panels, on one scale, in the report as far as there is room."""

from __future__ import annotations

import base64
import io
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from epsball.config import Config, load_config
from epsball.reporting import pictures
from epsball.reporting.figures import draw, drawn, names, page_name, pages
from epsball.reporting.html.template import ENVIRONMENT
from epsball.runs.files import write_table
from epsball.runs.gaps import gap
from epsball.stages import report_size
from matplotlib.figure import Figure
from PIL import Image
from support.written_run import MINIMAL, write_run

FIGURE_OF_ALL = ("fig2_illustration", "fig5_functions")


def of_networks(number: int, trained: int = 0, **keys: object) -> Config:
    training = {"training": {"epochs": 1}}
    signs = {"signs": {"kind": "signs"}}
    networks = {
        f"n{place:02}": {"dataset": "signs", "factory": "a.b:c", **(training if place < trained else {})}
        for place in range(number)
    }
    return load_config({**MINIMAL, "datasets": signs, "networks": networks, **keys})


@pytest.mark.parametrize("number", [1, 6, 7, 12, 13, 25, 61])
def test_each_network_is_once_on_pages_of_at_most_six(number: int) -> None:
    config = of_networks(number)
    found = pages("fig4_topology", config)
    assert [name for page in found for name in page] == list(config.networks)
    sizes = [len(page) for page in found]
    assert max(sizes) <= 6
    assert max(sizes) - min(sizes) <= 1
    assert len(found) == -(-number // 6)
    for name in FIGURE_OF_ALL:
        assert pages(name, config) == [list(config.networks)]
    listed = names(config)
    assert len(listed) == len(set(listed)) == sum(len(pages(name, config)) for name in drawn(config))
    assert ("fig4_topology-2" in listed) == (number > 6)
    assert f"fig4_topology-{len(found) + 1}" not in listed


def test_figures_of_training_have_the_networks_that_are_trained() -> None:
    config = of_networks(20, trained=8)
    assert pages("training_curves", config) == [[f"n{place:02}" for place in page] for page in (range(4), range(4, 8))]
    assert "training_curves-3" not in names(config)
    assert "fig1_isotropy-4" in names(config)


def written(folder: Path, config: Config) -> None:
    """Tables of all networks of a run: the ranges of each are ten times those of the one before."""
    write_run(folder, samples=5, growth=3.0, floor=1e-6)
    for place, network in enumerate(config.networks):
        for path in (folder / "metrics" / "net").iterdir():
            table = pd.read_parquet(path)
            if "range" in table:
                table["range"] *= 10.0**place
            write_table(folder / "metrics" / network / path.name, table)
    shutil.rmtree(folder / "metrics" / "net")


def saved(monkeypatch: pytest.MonkeyPatch, name: str, config: Config, folder: Path) -> list[Figure]:
    """Draw a figure; return its pages."""
    found: dict[str, Figure] = {}
    monkeypatch.setattr("epsball.reporting.figures.save", lambda page, path: found.update({path.name: page}))
    draw(name, config, folder, folder / f"{name}.png")
    wanted = [f"{page_name(name, page)}.png" for page in range(len(pages(name, config)))]
    assert set(found) == set(wanted)
    return [found[path] for path in wanted]


def test_pages_have_one_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = of_networks(13)
    written(tmp_path, config)
    found = saved(monkeypatch, "fig1_isotropy", config, tmp_path)
    titles = [[ax.get_title("left") for ax in page.axes if ax.get_title("left")] for page in found]
    assert titles == [*pages("fig1_isotropy", config)]
    limits = {ax.get_ylim() for page in found for ax in page.axes if ax.get_title("left")}
    assert len(limits) == 1
    bottom, top = limits.pop()
    assert bottom < 0.001
    assert top > 0.001 * 9 * 1e12, "the last network's"


def test_columns_of_pages_have_one_scale_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = of_networks(8, extra_probes=["boundary"])
    written(tmp_path, config)
    last = tmp_path / "metrics" / "n07" / "boundary.parquet"
    table = pd.read_parquet(last)
    write_table(last, table.assign(distance=1000 * table["distance"]))
    found = saved(monkeypatch, "beyond_boundary", config, tmp_path)
    columns = [[ax.get_ylim() for ax in page.axes[place::2]] for page in found for place in (0, 1)]
    assert all(len(set(column)) == 1 for column in columns)
    scores, distances = columns[::2], columns[1::2]
    assert scores[0][0] == scores[1][0]
    assert distances[0][0] == distances[1][0] != scores[0][0]


def test_panels_with_scales_of_their_own_keep_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = of_networks(8)
    written(tmp_path, config)
    last = tmp_path / "metrics" / "n07" / "lipschitz.parquet"
    table = pd.read_parquet(last)
    write_table(last, table.assign(d_out=1000 * table["d_out"]))
    found = saved(monkeypatch, "fig6_lipschitz", config, tmp_path)
    tops = [ax.get_ylim()[1] for page in found for ax in page.axes if ax.get_title("left")]
    assert tops[-1] > 500 * tops[0]
    assert len(set(tops[:-1])) == 1


def test_a_page_without_any_table_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = of_networks(8, extra_probes=["boundary"])
    written(tmp_path, config)
    for network in pages("beyond_boundary", config)[0]:
        write_table(tmp_path / "metrics" / network / "boundary.parquet", gap("it has no gradient"))
    found = saved(monkeypatch, "beyond_boundary", config, tmp_path)
    texts = [text.get_text() for ax in found[0].axes for text in ax.texts]
    assert sum("it has no gradient" in text for text in texts) == 4
    assert not any("it has no" in text.get_text() for ax in found[1].axes for text in ax.texts)


def figures_of_report(monkeypatch: pytest.MonkeyPatch, config: Config, folder: Path, budget: int) -> dict[str, Any]:
    monkeypatch.setattr(pictures, "drawn", lambda _: ["fig4_topology"])
    monkeypatch.setattr(report_size, "FIGURES", budget)
    return pictures.figures(config, folder, {"fig4_topology": "Figure 4. Topology (Eq. 7). All. The rest."})


@pytest.mark.slow
def test_the_report_has_the_pages_that_fit_and_links_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = of_networks(13)
    written(tmp_path, config)
    draw("fig4_topology", config, tmp_path, tmp_path / "figures" / "fig4_topology.png")

    def page(budget: int) -> tuple[str, list[int]]:
        figures = figures_of_report(monkeypatch, config, tmp_path, budget)
        macros: Any = ENVIRONMENT.get_template("macros.html.j2").module
        html = str(macros.figure(figures["fig4_topology"]))
        sizes = [len(picture) for picture in re.findall('src="([^"]+)"', html)]
        assert pictures.size(figures) == sum(sizes)
        return html, sizes

    whole, sizes = page(10**7)
    assert len(sizes) == 3
    assert ".png" not in whole
    assert "<summary>n04, n05, n06, n07</summary>" in whole
    assert '<a href="figures/fig4_topology-3.svg">' in whole
    cut, kept = page(sizes[0] + sizes[1])
    assert kept == sizes[:2]
    assert '<a href="figures/fig4_topology-3.png">' in cut
    assert page(0)[1] == sizes[:1], "a figure has its first page"


@pytest.mark.slow
def test_a_picture_keeps_its_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = of_networks(2)
    written(tmp_path, config)
    path = tmp_path / "figures" / "fig4_topology.png"
    draw("fig4_topology", config, tmp_path, path)
    [page] = figures_of_report(monkeypatch, config, tmp_path, 10**7)["fig4_topology"]["pages"]
    packed = base64.b64decode(page["picture"].removeprefix("data:image/webp;base64,"))
    with Image.open(io.BytesIO(packed)) as one, Image.open(path) as other:
        np.testing.assert_array_equal(one.convert("RGB"), other.convert("RGB"))
    assert len(packed) < 0.6 * path.stat().st_size
