"""Networks with known answers, through the real perturb, extract and measure stages."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from epsball.probes import Context
from epsball.probes.normalisers import Scales
from support.analytic import UNITS, Constant, Linear
from support.toys import Stages
from torch import Tensor, nn

pytestmark = pytest.mark.slow


class RadialBasis(nn.Module):
    """One centre; its logit falls with the squared distance, the others stand still."""

    def __init__(self, centre: Tensor) -> None:
        super().__init__()
        self.centre = nn.Buffer(centre)
        self.layer = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        squares = self.layer((x - self.centre).flatten(start_dim=1).square().sum(dim=1, keepdim=True))
        return torch.cat([4 - squares, torch.zeros_like(squares), torch.zeros_like(squares)], dim=1)


def test_identity_preserves_topology_and_distance(stages: Stages) -> None:
    module = Linear(np.eye(UNITS))
    topology = stages.run(module, "topology", layer="features")
    beyond = topology[topology["radius"] > 0]
    assert len(beyond) == 12
    assert beyond["rho"].to_numpy() == pytest.approx(1, abs=1e-6)
    assert (beyond["p_value"] < 0.02).all()
    lipschitz = stages.run(module, "lipschitz", layer="features").dropna()
    assert lipschitz["ratio_raw"].to_numpy() == pytest.approx(1, abs=1e-5)


def test_scaled_isometry_scales_distances_and_nothing_else(stages: Stages) -> None:
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(UNITS, UNITS)))[0]
    module = Linear(2.5 * rotation)
    topology = stages.run(module, "topology", layer="features")
    assert topology.loc[topology["radius"] > 0, "rho"].to_numpy() == pytest.approx(1, abs=1e-4)
    lipschitz = stages.run(module, "lipschitz", layer="features", context=Context(Scales(0.5, 2.0), 199)).dropna()
    assert lipschitz["ratio_raw"].to_numpy() == pytest.approx(2.5, rel=1e-4)
    assert lipschitz["ratio"].to_numpy() == pytest.approx(2.5 * 0.5 / 2.0, rel=1e-4)


def test_linear_map_stays_between_its_singular_values(stages: Stages) -> None:
    generator = np.random.default_rng(1)
    left, right = (np.linalg.qr(generator.normal(size=(UNITS, UNITS)))[0] for _ in range(2))
    values = np.linspace(0.2, 3.0, UNITS)
    ratios = stages.run(Linear(left * values @ right), "lipschitz", layer="features").dropna()["ratio_raw"]
    assert ratios.min() > 0.2
    assert ratios.max() < 3.0
    # Random directions estimate the Frobenius norm over the square root of the dimension.
    assert np.sqrt(np.square(ratios).mean()) == pytest.approx(np.sqrt(np.square(values).mean()), rel=0.05)


def test_rbf_is_isotropic_and_symmetric_at_its_centre(stages: Stages) -> None:
    stages.samples = stages.samples.iloc[:1].assign(label=0)
    image = torch.from_numpy(stages.pool.read(0).copy()).permute(2, 0, 1).float() / 255
    module = RadialBasis(image)
    for name in ("isotropy", "symmetry"):
        table = stages.run(module, name, layer="layer")
        assert (table["range"] < 1e-6).all()
        beyond = table[table["radius"] > 0]
        assert (beyond["range"] <= 10 * beyond["noise_floor"]).all()
        assert beyond["margin_max"].to_numpy() == pytest.approx(4 - beyond["radius"].to_numpy() ** 2, abs=1e-5)
    away = RadialBasis(image + 0.1)
    table = stages.run(away, "isotropy", layer="layer")
    assert (table.loc[table["radius"] > 0, "range"] > 1e-3).all()


def test_constant_network_has_no_rho_and_no_range(stages: Stages) -> None:
    topology = stages.run(Constant(), "topology", layer="layer")
    assert topology[["rho", "p_value"]].isna().all(axis=None)
    isotropy = stages.run(Constant(), "isotropy", layer="layer")
    assert (isotropy["range"] == 0).all()
    assert (isotropy.loc[isotropy["radius"] > 0, "noise_floor"] > 0).all()
    assert (stages.run(Constant(), "lipschitz", layer="layer")["d_out"] == 0).all()


@pytest.mark.parametrize("name", ["isotropy", "symmetry", "topology", "lipschitz"])
def test_radius_0_is_exactly_nothing(stages: Stages, name: str) -> None:
    table = stages.run(Linear(np.random.default_rng(2).normal(size=(9, UNITS))), name, layer="features")
    at_zero = table[table["radius"] == 0]
    if name == "topology":
        assert at_zero["rho"].isna().all()
    elif name == "lipschitz":
        assert (at_zero[["d_in", "d_out", "noise_floor"]] == 0).all(axis=None)
        assert at_zero["ratio"].isna().all()
    else:
        zeros = ["range", "noise_floor", "score_sd", "margin_sd", "margin_range", "margin_noise_floor", "rms"]
        assert (at_zero[zeros] == 0).all(axis=None)
        assert (at_zero["score_min"] == at_zero["score_max"]).all()
