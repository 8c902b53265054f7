"""Figures and report are drawn from tables of every kind a run can give."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from epsball.analysis.run import Run
from epsball.analysis.verdicts import judge
from epsball.config import Config, load_config
from epsball.reporting.figures import FIGURES, draw, draw_all, figure, names, style
from epsball.reporting.figures.paper import derivatives
from epsball.reporting.paper_chapters import PROBE_CHAPTERS
from epsball.runs.files import write_table, write_text
from epsball.runs.gaps import gap
from matplotlib.collections import Collection, PathCollection
from matplotlib.figure import Figure
from PIL import Image
from support.written_run import MINIMAL, MINIMAL_RUN, WITH_EXTRA_PROBES, write_run

OF_TRAINING = [name for name in FIGURES if name.startswith("training")]
OF_MANY = [name for name in FIGURES if name.startswith("across")]  # see test_across.py


def write_illustration(folder: Path, flips: bool = True, names: Sequence[str] = ()) -> None:
    survey = pd.DataFrame({"label": [0], "prediction": [0]})
    survey.attrs["class_names"] = list(names)
    write_table(folder / "survey" / "mine" / "net.parquet", survey)
    axis = np.linspace(-1.3, 1.3, 5)
    score = np.exp(-np.add.outer(axis**2, axis**2))
    (folder / "illustrations").mkdir(exist_ok=True)
    np.savez(
        folder / "illustrations" / "mine.npz",
        images=np.random.default_rng(0).random((3, 8, 8, 3), dtype=np.float32),
        scores=np.array([0.9999999, 0.9, 0.2]),
        predictions=np.array([0, 0, 1]),
        points=np.array([[1.0, 0.0], [0.1, 0.99]]),
        axis=axis,
        score=score,
        right=score > (0.3 if flips else -1),
        flips=np.array(flips),
        radius=np.array(1.0),
        label=np.array(0),
        network=np.array("net"),
        sample=np.array("s0"),
    )


def texts(drawn: Figure) -> str:
    found = [text.get_text() for ax in drawn.axes for text in [*ax.texts, ax.title]]
    return " ".join([*found, *(text.get_text() for sub in drawn.subfigs for text in sub.texts)])


def places(collection: Collection) -> np.ndarray:
    return np.asarray(np.ma.getdata(collection.get_offsets()))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FIGURES if name not in {*OF_TRAINING, *OF_MANY}])
def test_every_figure_in_three_formats(tmp_path: Path, name: str) -> None:
    write_run(tmp_path, samples=5, growth=3.0, floor=1e-6)
    write_illustration(tmp_path)
    write_table(tmp_path / "claims.tsv", judge(WITH_EXTRA_PROBES, tmp_path))
    draw(name, WITH_EXTRA_PROBES, tmp_path, tmp_path / "figures" / f"{name}.pdf")
    assert (tmp_path / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    assert "<svg" in (tmp_path / "figures" / f"{name}.svg").read_text()
    picture = np.asarray(Image.open(tmp_path / "figures" / f"{name}.png").convert("L"))
    assert picture.shape[1] == 1400
    assert picture.std() > 5
    again = (tmp_path / "figures" / f"{name}.svg").read_bytes()
    draw(name, WITH_EXTRA_PROBES, tmp_path, tmp_path / "figures" / f"{name}.pdf")
    assert (tmp_path / "figures" / f"{name}.svg").read_bytes() == again


def test_markers_of_figure_1(tmp_path: Path) -> None:
    """Circles, squares where a draw is wrong, triangles at the floor; radius 0 checked in words."""
    write_run(tmp_path, samples=5, growth=3.0, floor=0.00015)  # 10 floors: between the ranges at ε and 1
    drawn = figure("fig1_isotropy", Run(MINIMAL_RUN, tmp_path))
    panel = drawn.axes[0]
    assert all(isinstance(collection, PathCollection) for collection in panel.collections)
    points = [places(collection) for collection in panel.collections]
    assert [len(offsets) for offsets in points] == [15, 5, 5, 5]  # the floors, and at each radius one kind of marker
    assert [set(np.round(offsets[:, 0])) for offsets in points] == [{0, 1, 2}, {1}, {2}, {0}]
    assert all(len(np.unique(offsets[:, 0])) == len(offsets) for offsets in points), "none hides another"
    corners = [np.shape(collection.get_paths()[0].vertices)[0] for collection in panel.collections[1:]]
    assert corners[0] > corners[1] > corners[2], "circle, square, triangle"
    hollow = [np.size(collection.get_facecolor()) == 0 for collection in panel.collections]
    assert hollow == [False, False, False, True]
    assert "all ranges at r = 0: 0" in texts(drawn)
    assert "mine, 5 samples, score > 0.99" in texts(drawn)
    assert panel.get_yscale() == "log"
    assert [label.get_text() for label in panel.get_xticklabels()] == ["ε", "1", "10"]


def two_networks(folder: Path, probe: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Run:
    """A run of two networks; of the second, a probe's table is changed."""
    write_run(folder, samples=5, growth=3.0, floor=1e-6)
    for path in (folder / "metrics" / "net").iterdir():
        table = pd.read_parquet(path)
        write_table(folder / "metrics" / "other" / path.name, change(table) if path.stem == probe else table)
    networks = dict.fromkeys(("net", "other"), MINIMAL["networks"]["net"])
    return Run(load_config({**MINIMAL, "networks": networks}), folder)


@pytest.mark.parametrize("name", ["fig1_isotropy", "fig1_isotropy_margin"])
def test_networks_share_the_axis_of_figure_1(tmp_path: Path, name: str) -> None:
    smaller = dict.fromkeys(("range", "margin_range", "noise_floor", "margin_noise_floor"), 0.0001)

    def shrink(table: pd.DataFrame) -> pd.DataFrame:
        table = table.assign(**{column: factor * table[column] for column, factor in smaller.items()})
        table.loc[table["radius"] == 10, list(smaller)] = 0.0
        return table

    one, other, _ = figure(name, two_networks(tmp_path, "isotropy", shrink)).axes
    assert one.get_ylim() == other.get_ylim()
    points = [places(collection)[:, 1] for ax in (one, other) for collection in ax.collections]
    bottom, top = one.get_ylim()
    lowest = min(values.min() for values in points)
    assert lowest == pytest.approx(1e-9), "ten noise floors of the second network: what is 0 has no place below it"
    assert lowest > 2 * bottom, "with room for the note"
    assert max(values.max() for values in points) < top
    assert one.yaxis.label.get_visible()
    assert not other.yaxis.label.get_visible()


def test_colour_bar_of_figure_6_names_the_middle_of_each_colour(tmp_path: Path) -> None:
    write_run(tmp_path, samples=5, growth=3.0, floor=1e-6)
    drawn = figure("fig6_lipschitz", Run(MINIMAL_RUN, tmp_path))
    drawn.canvas.draw()
    bar = drawn.axes[-1]
    assert [label.get_text() for label in bar.get_yticklabels()] == ["0", "ε", "1", "10"]
    heights = bar.transData.transform([(0, tick) for tick in bar.get_yticks()])[:, 1]
    box = bar.get_window_extent()
    np.testing.assert_allclose((heights - box.y0) / box.height, (np.arange(4) + 0.5) / 4, atol=0.005)


def test_figure_6_has_the_largest_ratio_of_each_sample(tmp_path: Path) -> None:
    """Two draws each: the second is twice the first; of one sample, it is above 1 at one radius."""

    def draws(table: pd.DataFrame) -> pd.DataFrame:
        first = table.assign(ratio=np.where(table["radius"] == 0, np.nan, 0.2))
        first.loc[(table["sample"] == "s0") & (table["radius"] == 1), "ratio"] = 0.6
        return pd.concat([first, first.assign(draw=1, ratio=2 * first["ratio"])])

    drawn = figure("fig6_lipschitz_ratio", two_networks(tmp_path, "lipschitz", draws))
    one, other = drawn.axes
    assert "largest ratio < 1: 0 of 5 samples" in one.texts[-1].get_text()
    assert "largest ratio < 1: 4 of 5 samples" in other.texts[-1].get_text()
    largest, medians = (places(collection) for collection in other.collections)
    assert sorted(set(np.round(largest[:, 1], 6))) == [0.4, 1.2]
    assert sorted(set(np.round(medians[:, 1], 6))) == [0.3, 0.9]
    np.testing.assert_array_equal(largest[:, 0], medians[:, 0])
    assert one.get_ylim() == other.get_ylim()
    assert one.get_yscale() == "log"
    assert one.get_ylim()[0] < 0.3 < 1.5 < one.get_ylim()[1]


def test_figure_4_has_the_random_projection_where_it_is_measured(tmp_path: Path) -> None:
    write_run(tmp_path, samples=5, growth=3.0, floor=1e-6)
    own = pd.read_parquet(tmp_path / "metrics" / "net" / "topology.parquet")
    control = tmp_path / "metrics" / "net~random-projection" / "topology.parquet"
    write_table(control, own.assign(rho=3 * own["rho"]))
    config = load_config({**MINIMAL, "controls": ["random-projection"]})
    drawn = figure("fig4_topology", Run(config, tmp_path))
    line = drawn.axes[0].get_lines()[-1]
    assert np.asarray(line.get_xydata()).tolist() == [
        [0, pytest.approx(0.15)],
        [1, pytest.approx(0.15)],
        [2, pytest.approx(0.15)],
    ]
    assert [text.get_text() for text in drawn.legends[0].get_texts()][-1] == "median of the control random-projection"
    write_table(control, gap("it has no linear form"))
    for without in (config, MINIMAL_RUN):
        assert not figure("fig4_topology", Run(without, tmp_path)).legends


@pytest.mark.slow
def test_margin_comes_first_where_scores_saturate(tmp_path: Path) -> None:
    """In one of two networks half of the samples have a mean score within 0.001 of 1 at ε."""
    for close, first in ((3, True), (2, False)):  # of five samples
        scores = np.where(np.arange(5) < close, 0.9995, 0.99)

        def sure(table: pd.DataFrame, scores: np.ndarray = scores) -> pd.DataFrame:
            at = table["radius"] == 0.1
            table.loc[at, "score_mean"] = scores
            return table

        chapter = PROBE_CHAPTERS["isotropy"](two_networks(tmp_path, "isotropy", sure))
        order = ["isotropy_margin", "isotropy"] if first else ["isotropy", "isotropy_margin"]
        assert list(chapter.charts) == order
        assert chapter.figures == tuple(f"fig1_{name}" for name in order)
        assert ("Scores of other are saturated" in chapter.text) is first
    saturated = two_networks(tmp_path, "symmetry", lambda table: table.assign(score_mean=1.0))
    assert PROBE_CHAPTERS["symmetry"](saturated).figures == (
        "fig2_illustration",
        "fig3_symmetry_margin",
        "fig3_symmetry",
    )


def test_undefined_rho_is_said_and_not_drawn_as_0(tmp_path: Path) -> None:
    write_run(tmp_path, samples=5, growth=3.0, floor=1e-6, topology=lambda table: table.assign(rho=np.nan))
    drawn = figure("fig4_topology", Run(MINIMAL_RUN, tmp_path))
    assert "|ρ| < 0.1: 0 of 0; undefined: 15" in texts(drawn)
    panel = drawn.axes[0]
    assert not any(np.size(collection.get_offsets()) for collection in panel.collections)
    assert [np.asarray(line.get_ydata()).tolist() for line in panel.get_lines()] == [[0, 0]], (
        "the line of 0, and no median"
    )


def test_median_counts_what_is_infinite() -> None:
    """Distances to a boundary that was not met are infinite: not drawn, but above every other in the median."""
    ax = Figure().subplots()
    style.columns(
        ax, {"met": [1.0, 2.0, 4.0], "partly": [1.0, 3.0, np.inf], "hardly": [1.0, np.inf, np.inf]}, ["k"] * 3
    )
    assert [np.asarray(line.get_ydata()).tolist() for line in ax.get_lines()] == [[2, 2], [3, 3]]
    [points] = ax.collections
    offsets = places(points)
    assert offsets[:, 1].tolist() == [1, 2, 4, 1, 3, 1]
    assert offsets[:, 0] == pytest.approx([-0.32, 0, 0.32, 0.68, 1, 1.68])


def test_bands_hold_the_middle_half() -> None:
    table = pd.DataFrame({"place": [0] * 5 + [1] * 5, "value": [*range(5), *range(10, 15)], "of": "net"})
    ax = Figure().subplots()
    style.bands(ax, table, "place", "value", "of", {"net": style.BLUE})
    [line], [band] = ax.get_lines(), ax.collections
    assert np.asarray(line.get_xydata()).tolist() == [[0, 2], [1, 12]]
    assert set(np.ravel(np.asarray(band.get_paths()[0].vertices)[:, 1])) == {1, 3, 11, 13}


@pytest.mark.slow
def test_an_isotropic_network_can_be_drawn(tmp_path: Path) -> None:
    write_run(tmp_path, samples=5, growth=3.0, floor=0.0)
    path = tmp_path / "metrics" / "net" / "isotropy.parquet"
    pd.read_parquet(path).assign(range=0.0, margin_range=0.0).to_parquet(path)
    draw("fig1_isotropy", MINIMAL_RUN, tmp_path, tmp_path / "f.pdf")


def test_a_constant_network_can_be_drawn(tmp_path: Path) -> None:
    write_run(tmp_path, samples=5, growth=3.0, floor=0.0)
    path = tmp_path / "metrics" / "net" / "lipschitz.parquet"
    pd.read_parquet(path).assign(d_out=np.nan, ratio=np.nan).to_parquet(path)
    for name in ("fig6_lipschitz", "fig6_lipschitz_ratio"):
        assert "not defined" in texts(figure(name, Run(MINIMAL_RUN, tmp_path)))


def test_figure_2_says_when_nothing_flips(tmp_path: Path) -> None:
    write_run(tmp_path, samples=5, growth=3.0, floor=1e-6)
    write_illustration(tmp_path, flips=False)
    drawn = figure("fig2_illustration", Run(MINIMAL_RUN, tmp_path))
    titles = " ".join(str(sub._suptitle.get_text()) for sub in drawn.subfigs)  # type: ignore[attr-defined]
    assert "none wrong; the two furthest apart" in titles


@pytest.mark.parametrize(
    ("names", "first", "last"),
    [
        ((), "right: class 0", "wrong: class 1"),
        (("a tree",), "right: a tree", "wrong: class 1"),
        (("0", "$ and $"), "right: class 0", r"wrong: \$ and \$"),
        (("cat", "a name of many words"), "right: cat", "wrong: a name of many wo…"),
    ],
)
def test_figure_2_names_classes(tmp_path: Path, names: tuple[str, ...], first: str, last: str) -> None:
    write_run(tmp_path, samples=5, growth=3.0, floor=1e-6)
    write_illustration(tmp_path, names=names)
    drawn = figure("fig2_illustration", Run(MINIMAL_RUN, tmp_path))
    assert [ax.get_title().split("\n")[1] for ax in drawn.axes[1:4]] == [first, "right", last]


def test_functions_of_figure_5_have_one_lipschitz_constant() -> None:
    x = np.linspace(-15, 15, 30001)
    slopes = derivatives(x)
    assert {name: np.abs(slope).max() for name, slope in slopes.items()} == {"f": 1, "g": 1}
    near = np.abs(x) <= 5
    assert (slopes["f"][near] == slopes["g"][near]).all()
    assert np.abs(slopes["g"][np.abs(x) > 10]).max() < 0.01


def write_training(folder: Path) -> Config:
    """A trained network of three classes: 18 of 20 right, one 0 taken for 2, one 1 for 0."""
    config = load_config(
        {
            "datasets": {"signs": {"kind": "signs"}},
            "networks": {"net": {"dataset": "signs", "factory": "sign:ciresan2012", "training": {"epochs": 2}}},
        }
    )
    curve = [
        {"epoch": 0.5, "loss": 2.0},
        {"epoch": 1.0, "loss": 0.9, "validation_loss": 1.0, "validation_accuracy": 0.5},
        {"epoch": 2.0, "loss": 0.3, "validation_loss": 0.4, "validation_accuracy": 0.85},
    ]
    card = {"network": "net", "classes": 3, "accuracy": 0.9, "training": {"epochs": 2, "history": curve}}
    write_text(folder / "networks" / "net" / "card.json", json.dumps(card))
    labels = np.arange(20) % 3
    predictions = labels.copy()
    predictions[0], predictions[1] = 2, 0
    survey = pd.DataFrame({"label": labels, "prediction": predictions})
    write_table(folder / "survey" / "signs" / "net.parquet", survey)
    return config


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_TRAINING)
def test_figures_of_training(tmp_path: Path, name: str) -> None:
    config = write_training(tmp_path)
    draw(name, config, tmp_path, tmp_path / f"{name}.png")
    assert np.asarray(Image.open(tmp_path / f"{name}.png").convert("L")).std() > 5
    assert name in names(config)
    assert name not in names(MINIMAL_RUN)


@pytest.mark.slow
def test_all_figures_of_a_run_are_drawn_by_several_processes(tmp_path: Path) -> None:
    write_run(tmp_path, samples=5, growth=3.0, floor=1e-6)
    write_illustration(tmp_path)
    write_table(tmp_path / "claims.tsv", judge(MINIMAL_RUN, tmp_path))
    draw_all(MINIMAL_RUN, tmp_path, tmp_path / "drawn", processes=2)
    assert {path.stem for path in (tmp_path / "drawn").iterdir()} == set(names(MINIMAL_RUN))
    assert len(list((tmp_path / "drawn").iterdir())) == 3 * len(names(MINIMAL_RUN))


def test_what_figures_of_training_say(tmp_path: Path) -> None:
    results = Run(write_training(tmp_path), tmp_path)
    curves = figure("training_curves", results)
    left, right = curves.axes
    drawn = [np.asarray(ax.lines[0].get_xydata()).tolist() for ax in (left, right)]
    assert drawn[0] == [[0.5, 2.0], [1.0, 0.9], [2.0, 0.3]]
    assert drawn[1] == [[1.0, 50.0], [2.0, 85.0]]
    confusion = figure("training_confusion", results)
    panel = confusion.axes[0]
    counts: np.ndarray = np.ma.filled(np.ma.asarray(panel.collections[0].get_array()), 0)
    assert counts.tolist() == [[6, 0, 1], [1, 6, 0], [0, 0, 6]]
    assert panel.get_title() == "net: 90.0% of 20 right"
    assert panel.get_xlabel() == "prediction\n0 as 2: 1, 1 as 0: 1"
    survey = results.survey("net")
    survey.attrs["class_names"] = ["stop", "1", "yield"]
    write_table(tmp_path / "survey" / "signs" / "net.parquet", survey)
    assert results.class_names("signs") == ["stop", "1", "yield"]
    panel = figure("training_confusion", results).axes[0]
    assert panel.get_xlabel() == "prediction\nstop (0) as yield (2): 1\n1 as stop (0): 1"
