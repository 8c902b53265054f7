"""The report in a real browser, from a file: what it asks for, shows and does; and its budget of bytes."""

from __future__ import annotations

import base64
import contextlib
import io
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from epsball import data
from epsball.analysis.claims import NOISE_FLOOR_FACTOR
from epsball.analysis.run import Run
from epsball.commands import comparison
from epsball.config import Config
from epsball.data import Pool
from epsball.data.images import digest
from epsball.perturbations.ball import perturbed_images
from epsball.reporting import report
from epsball.reporting.html import template
from epsball.reporting.html.charts import CHARTS, chart
from epsball.runs import files, provenance, provenance_records
from epsball.runs.integrity import Inputs
from epsball.stages import draws
from epsball.stages.illustrate import restore
from epsball.stages.panels import SHOWN, read, size
from epsball.stages.report_size import DRAWS, charted
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, expect, sync_playwright
from support import browser
from support.finished_run import RAW, finished
from support.toys import BALL, pictures
from support.whole_run import CLASS_NAMES, captions, make_run
from support.written_run import MINIMAL_RUN

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Path]:
    config, folder = make_run(tmp_path_factory.mktemp("run"), radii=[1, 4], samples=4)
    (folder / "report.html").write_text(report.report(config, folder, captions(config)))
    return config, folder


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if browser.path() is None:
        pytest.skip(f"there is no Chromium; tests/support/browser.py installs it, or says: {browser.obstacle()}")
    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=browser.path(), args=list(browser.ARGUMENTS))
        yield opened
        opened.close()


@pytest.fixture
def page(chromium: Browser, run: tuple[Config, Path]) -> Iterator[Page]:
    """The report, opened."""
    with opened_page(chromium, run[1] / "report.html") as opened:
        yield opened


@contextlib.contextmanager
def opened_page(chromium: Browser, path: Path) -> Iterator[Page]:
    """A page from a file; at the end nothing may have been complained of or asked for."""
    context = chromium.new_context(viewport={"width": 1200, "height": 900}, color_scheme="light")
    opened = context.new_page()
    said: list[str] = []
    asked: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            said.append(message.text)

    def see(request: Request) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            asked.append(request.url)

    opened.on("console", hear)
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", see)
    opened.goto(path.as_uri())
    yield opened
    context.close()
    assert said == []
    assert asked == []


def shown(page: Page) -> list[str]:
    return [str(one.get_attribute("id")) for one in page.locator("main > .page").all() if one.is_visible()]


def test_every_tab_shows_its_chapter_alone(page: Page) -> None:
    links = page.locator("nav a")
    assert links.count() == 8
    for link in links.all():
        link.click()
        target = str(link.get_attribute("href"))[1:]
        expect(page.locator(f"#{target}")).to_be_visible()
        assert shown(page) == [target]
        expect(link).to_have_attribute("aria-current", "page")


def test_a_verdict_leads_to_its_row_and_folds_open(page: Page, run: tuple[Config, Path]) -> None:
    claims = pd.read_csv(run[1] / "claims.tsv", sep="\t")
    cells = page.locator("#overview .matrix a")
    assert cells.count() == len(claims)
    for number in (0, len(claims) - 1):
        page.goto(page.url.split("#")[0] + "#overview")
        page.locator("#overview details").evaluate("fold => { fold.open = true; }")
        page.locator(f'#overview .matrix a[href="#row-{number}"]').click()
        row = page.locator(f"#row-{number}")
        expect(row).to_be_visible()
        assert claims["network"][number] in row.inner_text()
        assert claims["verdict"][number] in row.inner_text()
    folds = page.locator("#claims details.fold")
    for text, state in (("Unfold all", True), ("Fold all", False)):
        page.get_by_role("button", name=text, exact=True).click()
        assert [fold.evaluate("fold => fold.open") for fold in folds.all()] == [state] * folds.count()
    for fold in folds.all():
        fold.locator("summary").first.click()
        assert fold.evaluate("fold => fold.open")


@pytest.mark.parametrize("chapter", ["isotropy", "symmetry", "topology", "lipschitz"])
def test_charts_of_a_chapter(page: Page, chapter: str) -> None:
    page.locator(f'nav a[href="#{chapter}"]').click()
    places = page.locator(f"#{chapter} .chart")
    for place in places.all():
        expect(place).to_have_attribute("data-drawn", "one", timeout=20_000)
        assert place.locator(".points path").count() >= 4
    shown_networks = "place => [...new Set(place.data.map(trace => trace.meta))]"
    assert places.first.evaluate(shown_networks) == ["one"]
    page.locator(f"#{chapter} select.network").select_option("two")
    for place in places.all():
        expect(place).to_have_attribute("data-drawn", "two")
        assert place.evaluate(shown_networks) == ["two"]
    sample = click_first_point(page, places.first)
    expect(page.locator("#sample")).to_be_visible()
    assert page.url.endswith(f"#sample-squares-{sample}")


def click_first_point(page: Page, place: Locator) -> str:
    """Hover over the first point of a chart, and click on it; return its sample."""
    dots = place.evaluate(
        "place => { const trace = place.data.find(t => t.text && t.text.length);"
        "return [trace.text[0], place.calcdata[place.data.indexOf(trace)][0].x, "
        "place.calcdata[place.data.indexOf(trace)][0].y, place.data.indexOf(trace)]; }"
    )
    place.scroll_into_view_if_needed()
    at = place.evaluate(
        "(place, [x, y]) => { const {xaxis, yaxis} = place._fullLayout; const box = place.getBoundingClientRect();"
        "return [box.x + xaxis._offset + xaxis.c2p(x), box.y + yaxis._offset + yaxis.c2p(y)]; }",
        dots[1:3],
    )
    page.mouse.move(at[0] - 3, at[1])
    page.mouse.move(*at)
    label = place.locator(".hoverlayer .hovertext")
    expect(label.first).to_contain_text("r = ")
    page.mouse.click(*at)
    return str(dots[0])


def test_a_run_of_which_some_samples_are_shown(chromium: Browser, run: tuple[Config, Path], tmp_path: Path) -> None:
    config, folder = run
    shutil.copytree(folder, tmp_path / "run")
    path = tmp_path / "run" / "illustrations" / "squares.json"
    panels = read(path)
    gone = str(Run(config, folder).metrics("isotropy", "one")["sample"].iloc[0])
    for part in (panels.samples, panels.thumbnails):
        del part[gone]
    panels.write(path)
    (tmp_path / "report.html").write_text(report.report(config, tmp_path / "run", captions(config)))
    with opened_page(chromium, tmp_path / "report.html") as opened:
        assert "around 4 images of squares" in opened.locator("#overview").inner_text()
        opened.locator('nav a[href="#samples"]').click()
        assert opened.locator(".thumb").count() == 3
        assert "3 samples are shown" in opened.locator("#samples .warn").first.inner_text()
        opened.locator('nav a[href="#isotropy"]').click()
        chart = opened.locator("#isotropy .chart").first
        expect(chart).to_have_attribute("data-drawn", "one", timeout=20_000)
        assert click_first_point(opened, chart) == gone
        assert opened.url.endswith("#isotropy"), "what is not shown is not opened"


def test_a_figure_is_enlarged_by_mouse_and_keyboard_and_escape_closes(page: Page) -> None:
    page.locator('nav a[href="#topology"]').click()
    dialog = page.locator("#enlarged")
    control = page.locator("#topology .enlarge").first
    control.click()
    expect(dialog).to_be_visible()
    assert dialog.locator("img").get_attribute("src") == control.locator("img").get_attribute("src")
    assert dialog.locator("a").first.get_attribute("href") == "figures/fig4_topology.pdf"
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    control.focus()
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()


def test_samples_by_mouse_and_arrows(page: Page, run: tuple[Config, Path]) -> None:
    config, folder = run
    page.locator('nav a[href="#samples"]').click()
    thumbs = page.locator(".thumb")
    samples = Run(config, folder).samples("squares")
    assert thumbs.count() == len(samples)
    keys = [str(thumb.get_attribute("data-key")) for thumb in thumbs.all()]
    assert keys == [f"squares-{name}" for name in samples["sample"]]
    panel = page.locator("#sample")
    for key, image, label in zip(keys, samples["image"], samples["label"], strict=True):
        page.locator(f'.thumb[data-key="{key}"]').click()
        expect(panel).to_have_attribute("data-key", key, timeout=20_000)
        expect(panel.locator("h2")).to_have_text(f"{image}: {label}, {CLASS_NAMES[label]}")
        assert page.locator(f'.thumb[data-key="{key}"] span').inner_text().startswith(f"{label}, {CLASS_NAMES[label]}")
        assert panel.locator(".js-plotly-plot").count() == 1
    page.keyboard.press("ArrowRight")  # round to the first
    expect(panel).to_have_attribute("data-key", keys[0])
    page.keyboard.press("ArrowLeft")
    expect(panel).to_have_attribute("data-key", keys[-1])
    panel.get_by_role("link", name="Next sample").click()
    expect(panel).to_have_attribute("data-key", keys[0])
    panel.locator("select").select_option("two")
    table = Run(config, folder).metrics("isotropy", "two")
    row = table[(table["sample"] == samples["sample"][0]) & (table["radius"] == 4)].iloc[0]
    last = panel.locator(".draws").first.locator("button").last
    expect(last).to_contain_text(f"r = 4: {row['score_min']:.4f}")
    expect(last).to_have_class("wrong" if row["prediction_min"] != samples["label"][0] else "right")
    last.click()
    dialog = page.locator("#enlarged")
    expect(dialog).to_contain_text(f"two, draw {row['draw_min']}")
    expect(dialog.locator("canvas")).to_be_visible()
    assert dialog.locator("img").count() == 2
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(panel).to_be_visible()
    page.locator("body").press("Escape")
    expect(panel).to_be_hidden()
    expect(thumbs.first).to_be_focused()


def test_the_difference_is_that_of_the_pictures(page: Page) -> None:
    page.locator('nav a[href="#samples"]').click()
    page.locator(".thumb").first.click()
    buttons = page.locator("#sample .draws").first.locator("button")
    expect(buttons).to_have_count(3)
    buttons.last.click()
    dialog = page.locator("#enlarged")
    expect(dialog.locator("canvas")).to_be_visible()
    clean, perturbed = (
        decoded(str(picture.get_attribute("src"))).astype(int) for picture in dialog.locator("img").all()
    )
    drawn = dialog.locator("canvas").evaluate(
        "canvas => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]"
    )
    found = np.array(drawn).reshape(10, 10, 4)[..., :3]
    most = np.abs(perturbed - clean).max()
    np.testing.assert_allclose(found, 128 + 127 / most * (perturbed - clean), atol=1)


def test_dark_and_light(page: Page) -> None:
    colour = "() => getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    page.locator('nav a[href="#topology"]').click()
    expect(page.locator("#topology .chart")).to_have_attribute("data-drawn", "one", timeout=20_000)
    words = "() => [...document.querySelectorAll('#topology .chart text')].map(text => getComputedStyle(text).fill)"
    before = page.evaluate(words)
    colours = page.get_by_label("Colours")
    colours.select_option("Dark")
    assert page.evaluate(colour) != light
    assert before
    assert not set(page.evaluate(words)) & set(before)
    page.reload()
    assert page.evaluate(colour) != light  # remembered
    colours.select_option("Light")
    assert page.evaluate(colour) == light
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(colour) == light
    colours.select_option("Auto")
    assert page.evaluate(colour) != light


def test_no_chapter_is_wider_than_a_phone(page: Page, run: tuple[Config, Path]) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    for link in page.locator("nav a").all():
        page.goto(page.url.split("#")[0] + str(link.get_attribute("href")))
        for place in page.locator(".chart:visible").all():
            expect(place).to_have_attribute("data-drawn", "one", timeout=20_000)
        assert page.evaluate("() => document.documentElement.scrollWidth") == 360
    page.locator(".thumb").first.evaluate("thumb => { location.hash = thumb.hash; }")
    expect(page.locator("#sample")).to_have_attribute("data-key", re.compile("squares"), timeout=20_000)
    assert page.evaluate("() => document.documentElement.scrollWidth") == 360


def test_without_a_script_all_is_there(chromium: Browser, run: tuple[Config, Path]) -> None:
    context = chromium.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto((run[1] / "report.html").as_uri())
    for section in opened.locator("main > .page").all():
        expect(section).to_be_visible()
    for row in opened.locator("#claims tr[id]").all():
        expect(row).to_be_visible()
    expect(opened.locator("#overview", has_text="Without radius 10 there is no verdict on: strong")).to_be_visible()
    assert opened.locator("figure img:visible").count() == len(captions(run[0]))
    assert opened.locator("button:visible:not(.enlarge)").count() == 0
    context.close()


def decoded(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGB"))


def test_controls_that_are_no_different_stand_in_the_cell() -> None:
    verdicts = [
        ("one", "", "holds"),
        ("one", "rbf", "equivalent"),
        ("one", "identity", "differs"),
        ("one", "random-projection", "equivalent"),
        ("two", "", "undecided"),
        ("two", "rbf", "differs"),
    ]
    rows = [
        {
            "network": network,
            "control": control,
            "adjusted_verdict": verdict,
            "statement": "s",
            "estimate": 1.0,
            "row": number,
            "unavailable": "",
        }
        for number, (network, control, verdict) in enumerate(verdicts)
    ]
    part = {"title": "t", "networks": ["one", "two", "three"], "claims": [("c", rows)]}
    page = str(template.ENVIRONMENT.get_template("macros.html.j2").make_module().matrix(part))  # type: ignore[attr-defined]
    cells = re.findall(r"<td.*?</td>", page)
    assert [re.findall(r'href="#row-(\d)"', cell) for cell in cells] == [["0"], ["4"], []]
    assert [re.findall(r"≈ (.*?)<", cell) for cell in cells] == [["rbf, random-projection"], [], []]
    assert [re.findall(r'data-verdict="(.*?)"', cell) for cell in cells] == [["holds"], ["undecided"], []]


def test_the_comparison_of_two_runs(chromium: Browser, tmp_path: Path) -> None:
    runs = [finished(tmp_path / name, {**RAW, "run": name}, growth) for name, growth in (("one", 3.0), ("two", 20.0))]
    compared = comparison.compare(*runs)
    (tmp_path / "compared.html").write_text(comparison.page(compared))
    table = compared.claims
    with opened_page(chromium, tmp_path / "compared.html") as page:
        assert page.locator("#compared strong", has_text="changed").count() == table["changed"].sum() > 0
        strips = page.locator("#compared td.strip").all()
        for strip, row in zip(strips, table.to_dict("records"), strict=True):
            alike = table[table["statement"] == row["statement"]]
            ends = alike[["ci_low_a", "ci_low_b", "ci_high_a", "ci_high_b"]].to_numpy()
            if np.ptp(ends) < 1e-9:
                assert strip.locator("b").count() == 0
                continue
            for side in "ab":
                box, whole = (strip.locator(f".{side}{inner}").bounding_box() for inner in (" i", ""))
                assert box is not None
                assert whole is not None
                low = (row[f"ci_low_{side}"] - ends.min()) / np.ptp(ends)
                assert (box["x"] - whole["x"]) / whole["width"] == pytest.approx(low, abs=0.02)
        page.locator('nav a[href="#configuration"]').click()
        assert page.locator("#configuration tr", has_text="run").inner_text().split() == ["run", "one", "two"]
        page.get_by_label("Colours").select_option("Dark")
        page.set_viewport_size({"width": 360, "height": 740})
        for link in page.locator("nav a").all():
            link.click()
            assert page.evaluate("() => document.documentElement.scrollWidth") == 360


def test_a_matrix_of_many_networks_is_sorted_and_filtered(
    chromium: Browser, run: tuple[Config, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same run as if two networks were many."""
    config, folder = run
    kinds = {"one": "vgg", "two": "vit"}
    specs = {name: replace(spec, factors={"architecture": kinds[name]}) for name, spec in config.networks.items()}
    config = replace(config, networks=specs)
    monkeypatch.setattr(report, "LEGIBLE", 1)
    (tmp_path / "report.html").write_text(report.report(config, folder, captions(config)))
    claims = pd.read_csv(folder / "claims.tsv", sep="\t")
    with opened_page(chromium, tmp_path / "report.html") as opened:
        matrix = opened.locator("#overview .long").first
        rows = matrix.locator("tbody tr")

        def networks() -> list[str]:
            return [row.locator("th").inner_text() for row in rows.all() if row.is_visible()]

        assert networks() == ["one", "two"]
        matrix.get_by_role("button", name="network").click()
        matrix.get_by_role("button", name="network").click()
        assert networks() == ["two", "one"]
        claim = "little change at epsilon"
        matrix.get_by_role("button", name=claim).press("Enter")
        estimates = claims[(claims["claim"] == claim) & claims["control"].isna()].set_index("network")["estimate"]
        assert networks() == list(estimates.sort_values().index)
        assert matrix.locator("th[aria-sort]").count() == 1
        matrix.get_by_label("architecture").select_option("vit")
        assert networks() == ["two"]
        expect(matrix.locator("output")).to_have_text("1 of 2")
        matrix.get_by_label("architecture").select_option("all")
        assert len(networks()) == 2
        matrix.locator("tbody a").first.click()
        assert "#row-" in opened.url
        opened.set_viewport_size({"width": 360, "height": 740})
        opened.locator('nav a[href="#overview"]').click()
        assert opened.evaluate("() => document.documentElement.scrollWidth") == 360


def test_draws_are_those_that_the_network_saw(run: tuple[Config, Path]) -> None:
    config, folder = run
    results = Run(config, folder)
    samples = results.samples("squares")
    pool = data.open_pool(config.datasets["squares"], folder)
    tables = {probe: results.metrics(probe, "two") for probe in SHOWN}
    scores = pd.concat(table.assign(probe=probe) for probe, table in tables.items())
    panels = draws.make_panels(samples, pool, scores, config.ball, 10**6, len(samples))
    assert panels.without == []
    row = samples.iloc[1]
    pixels = pool.read(list(pool.names).index(row["image"]))
    image = torch.from_numpy(pixels.copy()).float() / 255
    found = panels.samples[row["sample"]]
    np.testing.assert_array_equal(decoded(found["clean"]), pixels)
    assert {probe: len(drawn) for probe, drawn in found["draws"]["two"].items()} == {"isotropy": 3, "symmetry": 3}
    for probe, draw in ((probe, draw) for probe, drawn in found["draws"]["two"].items() for draw in drawn):
        family = {"isotropy": "uniform", "symmetry": "permuted"}[probe]
        every = perturbed_images(family, image, int(row["seed"]), draw["radius"], range(6), config.ball)
        expected = (every[draw["draw"]].permute(1, 2, 0) * 255).round().clamp(0, 255).numpy()
        np.testing.assert_array_equal(decoded(found["pictures"][draw["picture"]]), expected)
        table = tables[probe]
        at = table[(table["sample"] == row["sample"]) & (table["radius"] == draw["radius"])].iloc[0]
        assert [draw["draw"], draw["prediction"]] == [at["draw_min"], at["prediction_min"]]
        assert draw["score"] == pytest.approx(at["score_min"], rel=1e-4)


def test_charts_show_the_tables(run: tuple[Config, Path]) -> None:
    config, folder = run
    results = Run(config, folder)
    found = chart("isotropy", results)
    table = results.metrics("isotropy", "one")
    table = table[table["radius"] > 0]
    traces = {trace["name"]: trace for trace in found["data"] if trace["meta"] == "one"}
    points = {name: len(trace["text"]) for name, trace in traces.items() if "text" in trace}
    noise, wrong = table["range"] <= NOISE_FLOOR_FACTOR * table["noise_floor"], table["misclassified"] > 0
    assert points == {
        "all draws correct": (~noise & ~wrong).sum(),
        "at least one misclassified": (~noise & wrong).sum(),
        "at the noise floor": noise.sum(),
    }
    y = traces["all draws correct"]["y"]
    np.testing.assert_allclose(np.sort(y), np.sort(table.loc[~noise & ~wrong, "range"]), rtol=3e-4)
    assert set(CHARTS) == {"isotropy", "isotropy_margin", "symmetry", "symmetry_margin", "topology", "lipschitz"}


def test_charts_of_many_samples_stay_small() -> None:
    """Of six networks, six charts each, less than 5.4 MB: what a page of 15 MB has for them."""
    table, _, scores = synthetic(600, 1, 21, 8)
    config = replace(MINIMAL_RUN, ball=replace(BALL, radii=(0.0, *map(float, range(1, 22)))))

    class Synthetic(Run):
        def metrics(self, probe: str, network: str | None = None) -> pd.DataFrame:
            generator = np.random.default_rng(0)
            rows = scores[scores["probe"] == "isotropy"]
            drawn = {name: 10 ** generator.uniform(-9, 0, len(rows)) for name in ("range", "noise_floor")}
            return rows.assign(**drawn)

    packed = template.packed(chart("isotropy", Synthetic(config, Path())))
    assert len(packed) < 150_000
    assert len(table) == 600 > charted(config) == 200


def synthetic(samples: int, networks: int, radii: int, side: int) -> tuple[pd.DataFrame, Pool, pd.DataFrame]:
    """Random images and tables of a run; a draw of every tenth sample is misclassified."""
    images, labels = pictures(samples, size=side, seed=3)
    pool = Pool(names=[f"i{n}" for n in range(samples)], labels=labels, read=lambda number: images[number])
    table = pd.DataFrame(
        {
            "sample": [f"s{n}" for n in range(samples)],
            "image": list(pool.names),
            "label": labels,
            "seed": np.arange(samples, dtype=np.uint64),
            "digest": [digest(image) for image in images],
        }
    )
    rows = table[["sample"]].merge(pd.DataFrame({"radius": [0.0, *range(1, radii + 1)]}), how="cross")
    generator = np.random.default_rng(0)

    def scores(network: str, probe: str) -> pd.DataFrame:
        drawn = generator.random((len(rows), 3))
        wrong = np.where(rows["sample"].str.endswith("0") & (rows["radius"] == radii), 0.1, 0.0)
        columns = dict(zip(("score_min", "score_mean", "score_max"), np.sort(drawn, axis=1).T, strict=True))
        drawn_again = generator.integers(100, size=len(rows))
        return rows.assign(
            network=network, probe=probe, **columns, misclassified=wrong, draw_min=drawn_again, prediction_min=0
        )

    return table, pool, pd.concat(scores(f"n{n}", probe) for n in range(networks) for probe in SHOWN)


@pytest.mark.parametrize(("samples", "networks", "radii", "side"), [(600, 6, 21, 48), (40, 6, 21, 224), (5, 1, 2, 48)])
def test_pictures_keep_their_budget(samples: int, networks: int, radii: int, side: int) -> None:
    table, pool, scores = synthetic(samples, networks, radii, side)
    spec = replace(BALL, radii=(0.0, *map(float, range(1, radii + 1))))
    panels = draws.make_panels(table, pool, scores, spec, DRAWS, len(table))
    assert panels.bytes <= DRAWS
    assert set(panels.samples) == set(table["sample"])
    with_draws = [name for name, found in panels.samples.items() if "draws" in found]
    assert len(with_draws) + len(panels.without) == samples
    if samples == 5:
        assert (panels.radii, panels.probes, panels.without) == ([1.0, 2.0], ["isotropy", "symmetry"], [])
        return
    assert panels.radii[-1] == radii
    assert len(panels.radii) == 3
    assert panels.bytes > DRAWS * 0.8
    assert [name.endswith("0") for name in with_draws[: samples // 10]] == [True] * min(len(with_draws), samples // 10)


def test_draws_that_do_not_fit_after_all_are_left_out_from_the_last_sample_on(tmp_path: Path) -> None:
    table, pool, scores = synthetic(20, 2, 2, 8)
    spec = replace(BALL, radii=(0.0, 1.0, 2.0))
    drawn = draws.make_panels(table, pool, scores, spec, DRAWS, len(table))
    drawn.write(tmp_path / "drawn.json")
    panels = read(tmp_path / "drawn.json")
    assert panels == drawn
    panels.cut(drawn.bytes)
    assert panels == drawn
    panels.cut(drawn.bytes // 2)
    names = list(drawn.samples)
    kept = [name for name in names if "draws" in panels.samples[name]]
    assert 0 < len(kept) < 20
    assert (kept, panels.without) == (names[: len(kept)], names[len(kept) :])
    assert panels.bytes == sum(size(panels.samples[name]) for name in kept) <= drawn.bytes // 2
    assert all(panels.samples[name]["scores"] == drawn.samples[name]["scores"] for name in names)


def test_the_plane_of_fig_2_is_kept_if_the_same_made_it(run: tuple[Config, Path]) -> None:
    path = run[1] / "illustrations" / "squares.npz"
    assert not restore(path, "")
    files.retain(path)
    assert not restore(path, "other")
    path.unlink()
    assert restore(path, "")
    assert path.is_file()


def test_the_report_has_the_versions_that_made_the_results_not_those_of_the_day(run: tuple[Config, Path]) -> None:
    config, folder = run
    claims = folder / "claims.tsv"
    assert "The versions that made the results are not recorded." in report.report(config, folder, captions(config))
    samples = folder / "samples" / "squares.csv"

    def recorded(path: Path, *inputs: Path, **others: str) -> None:
        here = {**provenance.versions(), **others}
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(provenance, "versions", lambda: here)
            provenance_records.record(
                [str(path)], Inputs.of(map(str, inputs)).digests, "a_rule", {}, "digest", {"torch": ""}, {}
            )

    recorded(claims, torch="1.0")
    one = report.report(config, folder, captions(config))
    assert "The results were made with python" in one
    assert "torch 1.0," in one
    assert "more than one version" not in one
    recorded(samples, torch="2.0", python="3.0")
    recorded(claims, samples, torch="1.0", python="3.1")
    mixed = report.report(config, folder, captions(config))
    overview, made = mixed.index('id="overview"'), mixed.index('id="made"')
    said = "The results were made with more than one version: torch 1.0 and 2.0. Numbers of one"
    assert said in mixed[overview : mixed.index('id="claims"')]
    assert "python 3.0 and 3.1," in mixed[made:]
    assert "torch 1.0 and 2.0," in mixed[made:]
    shutil.rmtree(folder / "provenance")
