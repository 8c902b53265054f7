"""The noise floor against its definition: by hand, by simulation, and where arithmetic is exact."""

from __future__ import annotations

import copy
import importlib
from dataclasses import replace
from types import ModuleType
from typing import Any

import epsball
import numpy as np
import pytest
import torch
from epsball.config import Compute
from epsball.networks.forward import Forward, configure
from epsball.networks.model import Network
from epsball.perturbations.ball import perturbed_images
from epsball.probes.normalisers import Scales
from epsball.probes.rounding import expected_range
from epsball.runs import files
from epsball.stages.extract import extract
from epsball.stages.passes import float64_radii
from epsball.stages.perturb import sample_images
from scipy import stats
from scipy.special import expit, logsumexp
from support.analytic import UNITS, Linear
from support.toys import BALL, COMPUTE, CONTEXT, ROOT, Stages, conv_net
from torch import nn

pytestmark = pytest.mark.slow


def test_expected_range_of_few_draws() -> None:
    assert expected_range(2) == pytest.approx(2 / np.sqrt(np.pi))
    assert expected_range(3) == pytest.approx(3 / np.sqrt(np.pi))


@pytest.mark.parametrize("draws", [5, 12, 40])
def test_expected_range(draws: int) -> None:
    drawn = np.random.default_rng(0).standard_normal((100_000, draws))
    assert expected_range(draws) == pytest.approx(np.ptp(drawn, axis=1).mean(), rel=5e-3)


@pytest.mark.parametrize(
    ("count", "beyond", "expected"),
    [
        (2, (0.1, 1, 5, 10, 20), (0, 5)),
        (3, (0.1, 1, 5, 10, 20), (0, 0.1, 20)),
        (4, (0.1, 1, 5, 10, 20), (0, 0.1, 5, 20)),
        (4, (0.1, 1), (0, 0.1, 1)),
        (9, (0.1, 1), (0, 0.1, 1)),
        (2, (20,), (0, 20)),
        (4, (20,), (0, 20)),
    ],
)
def test_radii_with_passes_in_float64(count: int, beyond: tuple[float, ...], expected: tuple[float, ...]) -> None:
    ball = replace(BALL, radii=(0.0, *beyond))
    assert float64_radii(ball, Compute(float64_draws=count)) == expected


@pytest.mark.parametrize(("count", "radii"), [(2, [0, 1.0]), (3, [0, 0.1, 3.0])])
@pytest.mark.parametrize("name", ["isotropy", "symmetry", "lipschitz"])
def test_floors_by_hand(stages: Stages, name: str, count: int, radii: list[float]) -> None:
    """Number by number, with own passes in both precisions."""
    module, compute = conv_net(), replace(COMPUTE, float64_draws=count)
    next(module[-1].parameters()).data.mul_(30)  # some are sure
    table = stages.run(module, name, compute=compute, context=CONTEXT._replace(scales=Scales(0.5, 1.0)))
    double, family = copy.deepcopy(module).double(), "permuted" if name == "symmetry" else "uniform"
    configure(compute)
    forward = Forward(Network(module), compute)
    few = max(1, np.sqrt(count / stats.chi2.ppf(0.005, count)) / 10) if name != "lipschitz" else 0
    for row, image in sample_images(stages.samples, stages.pool):
        label, errors, along = int(row.label), [], []
        passed: dict[float, list[np.ndarray]] = {}
        for radius in BALL.radii:
            images = perturbed_images(family, image, int(row.seed), radius, range(BALL.draws), BALL)
            batches = [forward(images[start : start + 5]) for start in range(0, BALL.draws, 5)]
            passed[radius] = [torch.cat(parts).double().numpy() for parts in zip(*batches, strict=True)]
            if radius not in radii:
                continue
            exact = double[:-1](images[:1].double())
            logits, features = double[-1](exact).detach().numpy()[0], exact.detach().numpy()[0]
            single = passed[radius][0][0]
            size = max(abs(single[label]), abs(max(np.delete(single, label))))
            margins = [(single - logits)[label] - (single - logits)[c] for c in range(3) if c != label]
            used = [abs(single[c]) <= size for c in range(3) if c != label]
            errors.append(np.mean([margin**2 for margin, counts in zip(margins, used, strict=True) if counts]))
            if radius == 0:
                clean, exact_clean = passed[0][1][0], features
                continue
            moves = passed[radius][1] - clean
            error = (passed[radius][1][0] - features) - (clean - exact_clean)
            along.append(np.mean([(move @ error / np.linalg.norm(move)) ** 2 for move in moves]))
        for radius in BALL.radii[1:]:
            found = table[(table["sample"] == row.sample) & (table["radius"] == radius)]
            logits = passed[radius][0]
            other = np.delete(logits, label, axis=1)
            if name == "lipschitz":
                few = max(1, np.sqrt((count - 1) / stats.chi2.ppf(0.005, count - 1)) / 10)
                sd = max(few * np.sqrt(np.mean(along)), np.spacing(np.float32(abs(clean).max())) / 2)
                np.testing.assert_allclose(found["noise_floor"].to_numpy(), 0.5 * expected_range(12) * sd, rtol=1e-6)
                continue
            largest = max(abs(logits[:, label]).max(), abs(other.max(axis=1)).max())
            sd = max(few * np.sqrt(np.mean(errors)), np.spacing(np.float32(largest)) / 2)
            p = expit(logits[:, label] - logsumexp(other, axis=1))
            np.testing.assert_allclose(found["margin_noise_floor"].to_numpy(), expected_range(12) * sd, rtol=1e-6)
            np.testing.assert_allclose(
                found["noise_floor"].to_numpy(), expected_range(12) * sd * (p * (1 - p)).max(), rtol=1e-6
            )


def test_exact_arithmetic_has_a_floor_of_one_rounding(stages: Stages) -> None:
    """Logits are 8 times a value of the image, so that float32 and float64 agree."""
    matrix = np.zeros((3, UNITS))
    matrix[range(3), [0, 40, 80]] = 8
    held = stages.extract(Linear(matrix), "uniform", stages.folder / "e.zarr.zip", BALL, COMPUTE, "features")
    first = held["first_logits"].sel(radius=held["float64_radius"].values)
    assert (first.values == held["float64_logits"].values).all()
    for name in ("isotropy", "symmetry", "lipschitz"):
        table = stages.run(Linear(matrix), name, layer="features")
        floors = table.loc[table["radius"] > 0, [c for c in table.columns if c.endswith("noise_floor")]]
        assert (floors > 0).all(axis=None)
        assert (floors < 20 * 2.0**-24 * 8).all(axis=None)


def test_a_masked_class_does_not_raise_the_floor(stages: Stages) -> None:
    class Masked(nn.Module):
        def __init__(self, masks: bool) -> None:
            super().__init__()
            self.net, self.masks = conv_net(), masks

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.net(x)
            mask = torch.full((len(x), 2), -1e30, dtype=x.dtype)
            return torch.cat([logits, mask], dim=1) if self.masks else logits

    floors = [stages.run(Masked(masks), "isotropy", layer="net.5")["noise_floor"].to_numpy() for masks in (True, False)]
    np.testing.assert_allclose(floors[0], floors[1])


class NoFloat64(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = conv_net()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.dtype == torch.float64:
            raise RuntimeError("no")
        logits: torch.Tensor = self.net(x)
        return logits


def test_without_float64_there_is_no_floor(stages: Stages) -> None:
    for name in ("isotropy", "symmetry", "lipschitz"):
        table = stages.run(NoFloat64(), name, layer="net.5")
        assert table[[c for c in table.columns if c.endswith("noise_floor")]].isna().all(axis=None)
        assert table["range" if name != "lipschitz" else "d_out"].notna().all()


def test_a_further_radius_passes_no_earlier_draw_again(stages: Stages) -> None:
    """Float64 passes are those of an unextended run, and only they are made again where their radii differ."""
    counts: list[tuple[str, int]] = []

    class Counting(Forward):
        def start(self, images: torch.Tensor) -> Any:
            counts.append(("float32", len(images)))
            return super().start(images)

        def start_float64(self, images: torch.Tensor) -> Any:
            counts.append(("float64", len(images)))
            return super().start_float64(images)

    configure(COMPUTE)
    forward = Counting(Network(conv_net().eval().requires_grad_(False)), COMPUTE)

    def extracted(place: str, radii: tuple[float, ...], float64_draws: int = 2) -> dict[str, int]:
        counts.clear()
        path, compute = stages.folder / place, replace(COMPUTE, float64_draws=float64_draws)
        ball = replace(BALL, radii=radii)
        extract("uniform", forward, stages.samples, stages.pool, ball, compute, path, {})
        files.retain(path)
        path.unlink()  # as Snakemake does before the job runs again
        return {kind: sum(n for what, n in counts if what == kind) for kind in ("float32", "float64")}

    def held(place: str) -> Any:
        return epsball.open_store(files.previous(stages.folder / place)).load()

    samples = len(stages.samples)
    short, long = (0.0, 0.1, 1.0), (0.0, 0.1, 1.0, 3.0, 5.0)
    assert extracted("a.zarr.zip", short) == {"float32": samples * (5 + 2 * 12), "float64": samples * 2}
    assert extracted("a.zarr.zip", short) == {"float32": 0, "float64": 0}
    assert extracted("a.zarr.zip", long) == {"float32": samples * 2 * 12, "float64": samples * 2}
    assert extracted("a.zarr.zip", long, 3) == {"float32": 0, "float64": samples * 3}
    extracted("fresh.zarr.zip", long, 3)
    assert held("a.zarr.zip").equals(held("fresh.zarr.zip"))


@pytest.fixture
def floor(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    module = importlib.import_module("floor")
    monkeypatch.setattr(module, "SAMPLES", 300)
    return module


def test_false_alarms_are_below_one_percent(floor: ModuleType) -> None:
    """Where the float64 function is constant; of many rates, as each has few samples."""
    rates = np.array([[floor.counted(model, 0, count) for count in (2, 4)] for model in floor.MODELS])
    assert rates.mean() < 0.005
    assert rates.max() < 0.025
    assert np.mean([floor.counted(model, 20, 4) for model in floor.MODELS]) > 0.95
    assert floor.counted_before(floor.MODELS[0], 0, 2) > 0.15
