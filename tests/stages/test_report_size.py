"""What a report of a large run shows of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from epsball.config import Config, load_config
from epsball.stages import report_size
from epsball.stages.report_size import LIMIT, Selected

RADII = list(range(1, 21))  # with 0 and ε they are 22


def of(networks: int, datasets: int = 1, radii: list[int] = RADII) -> Config:
    names = [f"d{number}" for number in range(datasets)]
    return load_config(
        {
            "radii": radii,
            "draws": 40,
            "datasets": {name: {"kind": "signs"} for name in names},
            "networks": {f"n{n}": {"dataset": names[n % datasets], "factory": "a.b:c"} for n in range(networks)},
        }
    )


def whole(config: Config, selected: dict[str, Selected]) -> float:
    """Bytes of all but the pictures of draws, by the rates of the module."""
    figures = min(150_000 * len(config.networks), report_size.FIGURES)
    charts = sum(
        min(each.pairs / networks, report_size.charted(config)) * networks * len(config.ball.radii) * 220
        for each, networks in ((selected[name], len(config.networks_of(name))) for name in selected)
    )
    return report_size.text_size(config, selected) + figures + charts


def test_a_run_of_the_papers_size_is_shown_whole() -> None:
    config = of(6, datasets=2)
    selected = {name: Selected(300, 900) for name in config.datasets}
    assert report_size.shown(config, selected) == {"d0": 300, "d1": 300}
    assert whole(config, selected) <= LIMIT
    assert report_size.charted(config) > 150


@pytest.mark.parametrize("networks", [20, 60, 200])
@pytest.mark.parametrize("samples", [40, 300, 3000])
def test_of_a_larger_one_each_dataset_shows_a_share(networks: int, samples: int) -> None:
    config = of(networks, datasets=2)
    selected = {
        "d0": Selected(samples, samples * networks // 2),
        "d1": Selected(samples // 4, samples // 4 * networks // 2),
    }
    found = report_size.shown(config, selected)
    assert all(1 <= count <= selected[name].samples for name, count in found.items())
    assert found["d0"] / 4 == pytest.approx(found["d1"], abs=1)
    assert whole(config, selected) < 1.05 * LIMIT
    assert 0 <= report_size.estimated_budget(config, selected) <= report_size.DRAWS
    if networks == 60 and samples == 300:
        assert found["d0"] > 50


def test_samples_of_some_networks_take_less() -> None:
    """Of a selection where each network has its own samples, more are shown than where all are measured on all."""
    config = of(60)
    own, all_of_them = Selected(600, 40 * 60), Selected(600, 600 * 60)
    assert report_size.shown(config, {"d0": own})["d0"] > 4 * report_size.shown(config, {"d0": all_of_them})["d0"]


def test_nothing_selected_is_nothing_shown_but_room_for_one() -> None:
    assert report_size.shown(of(1), {"d0": Selected(0, 0)}) == {"d0": 1}
    assert report_size.text_size(of(1), {"d0": Selected(0, 0)}) > 0


def test_pairs_are_those_that_are_chosen() -> None:
    generator = np.random.default_rng(0)
    config = of(3)
    samples = pd.DataFrame({"sample": [f"s{n}" for n in range(20)]})
    assert report_size.selected(config, "d0", samples) == Selected(20, 60)
    for name in config.networks:
        samples[f"chosen_{name}"] = generator.random(20) < 0.5
    chosen = int(samples.filter(like="chosen_").to_numpy().sum())
    assert report_size.selected(config, "d0", samples) == Selected(20, chosen)
