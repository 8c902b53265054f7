"""Controls against what is known of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from epsball.analysis.run import Run
from epsball.analysis.verdicts import judge
from epsball.controls import CONTROLS, chosen_controls, control
from epsball.controls.rbf import RadialBasisFunction
from epsball.errors import EpsballError
from epsball.networks import forward, scores
from epsball.networks.model import Network
from epsball.perturbations import families
from epsball.probes import family_of
from epsball.reporting import figures
from epsball.runs.files import write_table
from epsball.stages.measure_controls import measure_control
from epsball.stages.perturb import perturb
from support.analytic import UNITS, Linear
from support.toys import BALL, COMPUTE, CONTEXT, SIZE, Stages, conv_net
from support.written_run import MINIMAL_RUN, write_run
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune
from torchvision.ops import DeformConv2d

SHAPE = (3, SIZE, SIZE)


def image(seed: int = 0) -> Tensor:
    return torch.rand(*SHAPE, generator=torch.Generator().manual_seed(seed))


def network(module: nn.Module, layer: str | None = None) -> Network:
    return Network(module.eval().requires_grad_(False), layer)


def measured(stages: Stages, module: nn.Module, name: str, layer: str | None = None) -> dict[str, pd.DataFrame]:
    """A control's tables, through the real stage."""
    forward.configure(COMPUTE)
    first = torch.from_numpy(stages.pool.read(0).copy()).permute(2, 0, 1).float() / 255
    made = forward.Forward(control(name).make(network(module, layer), first, 7), COMPUTE)
    probes = control(name).PROBES
    stores: dict[str, Path] = {}
    for family in {family_of(probe) for probe in probes}:
        stores[family] = stages.folder / f"{family}.zarr.zip"
        perturb(family, stages.samples, stages.pool, families.ball(BALL, family), stores[family], {})
    return measure_control(made, probes, stages.samples, stages.pool, stores, BALL, COMPUTE, CONTEXT, name)


@pytest.mark.slow
@pytest.mark.parametrize("probe", ["isotropy", "symmetry", "topology", "lipschitz"])
def test_a_linear_network_is_its_own_linearisation(stages: Stages, probe: str) -> None:
    matrix = np.random.default_rng(1).normal(size=(UNITS, UNITS))
    tables = measured(stages, Linear(matrix), "linearised", layer="features")
    own = stages.run(Linear(matrix), probe, layer="features")
    assert list(own) == list(tables[probe])
    numbers = [name for name in own.columns if name not in {"sample", "p_value"} and "noise_floor" not in name]
    np.testing.assert_allclose(tables[probe][numbers], own[numbers], rtol=1e-3, atol=1e-5)
    assert (tables[probe]["sample"] == own["sample"]).all()


def test_linearised_is_the_first_order_expansion_of_a_square() -> None:
    class Square(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Parameter(torch.linspace(-1, 1, UNITS), requires_grad=False)
            self.layer = nn.Identity()

        def forward(self, images: Tensor) -> Tensor:
            product = images.flatten(start_dim=1) @ self.a
            logits: Tensor = self.layer(torch.stack([product.square(), product, -product], dim=1))
            return logits

    square = Square()
    made = control("linearised").make(network(square, "layer"), image(), 0)
    passes = forward.Forward(made, COMPUTE)
    x, v = image(), image(1) - 0.5
    passes.refit_at(x, 0)
    logits, features = passes((x + v)[None])
    # In float64: float32 products round otherwise on another processor, by as much as is allowed below.
    at, along = ((tensor.flatten().double() @ square.a.double()).item() for tensor in (x, v))
    assert logits[0].tolist() == pytest.approx([at**2 + 2 * at * along, at + along, -at - along], rel=1e-4)
    assert torch.equal(features, logits)
    exact, _ = passes.float64((x + v)[None])
    assert exact.dtype == torch.float64
    assert exact[0, 0].item() == pytest.approx(at**2 + 2 * at * along, rel=1e-6)


def test_rbf_has_the_score_and_the_slope_of_the_network() -> None:
    net, x = network(conv_net()), image(3)
    passes = forward.Forward(control("rbf").make(net, x, 0), COMPUTE)
    label = 1
    passes.refit_at(x, label)

    def score(of: Tensor) -> float:
        return float(passes.float64(of[None])[0].softmax(dim=1)[0, label])

    at = x.double().requires_grad_()
    right = network(conv_net()).double()(at[None])[0].softmax(dim=1)[0, label]
    gradient = torch.autograd.grad(right, at)[0]
    assert score(x.double()) == pytest.approx(right.item(), rel=1e-6)
    direction, step = gradient / gradient.norm(), 1e-4
    slope = (score(x.double() + step * direction) - score(x.double() - step * direction)) / (2 * step)
    assert slope == pytest.approx(gradient.norm().item(), rel=1e-4)
    across = torch.randn(SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    across -= (across * direction).sum() * direction
    side = step * across / across.norm()
    assert score(x.double() + side) == pytest.approx(score(x.double() - side), abs=1e-12)


@pytest.mark.parametrize("gap", [30, 50, 200, 500, 900])
def test_rbf_of_a_network_that_is_sure_beyond_double_precision(gap: float) -> None:
    """Its log-odds at the image are the network's, and at its centre it is finite."""
    module = conv_net()
    last = module[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.bias[0] += gap
    net, x = network(module), image(3)
    made = control("rbf").make(net, x, 0)
    passes = forward.Forward(made, COMPUTE)
    passes.refit_at(x, 0)
    label = np.array([0])
    expected = scores.summarise(net(x[None])[0].numpy(), label).log_odds
    assert scores.summarise(passes(x[None])[0].numpy(), label).log_odds == pytest.approx(expected, rel=1e-6)
    assert isinstance(made, RadialBasisFunction)
    assert passes(made.middle.float()[None])[0].isfinite().all()


@pytest.mark.slow
def test_rbf_is_measured_by_its_score_alone(stages: Stages) -> None:
    tables = measured(stages, conv_net(), "rbf")
    assert set(tables) == {"isotropy", "symmetry"}
    table = tables["isotropy"]
    assert (table.loc[table["radius"] == 0, "range"] == 0).all()
    assert (table.loc[table["radius"] > 0, "range"] > 0).all()


@pytest.mark.slow
def test_a_random_projection_keeps_lengths_on_average_and_distances_at_mixed_norms(stages: Stages) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(UNITS, 100), nn.Linear(100, 3))
    tables = measured(stages, module, "random-projection")
    ratios = tables["lipschitz"].query("radius > 0")["ratio_raw"]
    assert ratios.pow(2).mean() == pytest.approx(1, abs=0.1)
    assert (tables["topology_mixed_radius"].query("radius > 0")["rho"] > 0.9).all()
    # At one norm the same projection looks as if it changed topology.
    assert tables["topology"]["rho"].max() < tables["topology_mixed_radius"]["rho"].min()


@pytest.mark.slow
def test_identity_keeps_everything(stages: Stages) -> None:
    tables = measured(stages, conv_net(), "identity")
    for name in ("topology", "topology_mixed_radius"):
        assert tables[name].query("radius > 0")["rho"].to_numpy() == pytest.approx(1, abs=1e-6)
    assert tables["lipschitz"].query("radius > 0")["ratio_raw"].to_numpy() == pytest.approx(1, abs=1e-5)


def test_random_weights_are_of_the_seed_and_keep_the_scale() -> None:
    def features(seed: int) -> Tensor:
        hidden = [part for _ in range(8) for part in (nn.Linear(UNITS, UNITS), nn.ReLU())]
        module = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(UNITS, 3))
        made: Tensor = control("random-weights").make(network(module), image(), seed)(image()[None])[1]
        return made

    assert torch.equal(features(1), features(1))
    assert not torch.equal(features(1), features(2))
    # He et al. (2015): the mean square is kept from layer to layer.
    kept = [(features(seed).square().mean() / image().square().mean()).item() for seed in range(20)]
    assert np.mean(kept) == pytest.approx(1, abs=0.4)


MADE: dict[str, Callable[[nn.Module], object]] = {
    "weight_norm": parametrizations.weight_norm,
    "spectral_norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "weight_norm, by a hook": torch.nn.utils.weight_norm,
    "weight_norm of the whole, by a hook": lambda layer: torch.nn.utils.weight_norm(layer, dim=None),  # type: ignore[arg-type]
    "spectral_norm, by a hook": torch.nn.utils.spectral_norm,
    "pruned": lambda layer: prune.l1_unstructured(layer, "weight", amount=0.5),  # type: ignore[no-untyped-call]
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("name", MADE)
def test_random_weights_that_are_made_of_others(name: str) -> None:
    def drawn(made: Callable[[nn.Module], object]) -> tuple[Tensor, Tensor]:
        layer = nn.Linear(UNITS, 6)
        module = nn.Sequential(nn.Flatten(), layer, nn.ReLU(), nn.Linear(6, 3)).eval()
        made(layer)
        before = layer.weight.detach().clone()
        control("random-weights").make(network(module), image(), 0)
        return before, layer.weight.detach()

    plain, (before, after) = drawn(lambda layer: layer)[1], drawn(MADE[name])
    assert not torch.isclose(before, after)[before != 0].any()
    if "weight_norm" in name:
        torch.testing.assert_close(after, plain)
    elif "spectral" in name:
        torch.testing.assert_close(after, plain / torch.linalg.matrix_norm(plain, 2), rtol=0.01, atol=0.001)
    elif name == "pruned":
        torch.testing.assert_close(after, plain * (before != 0))
    else:
        torch.testing.assert_close(after @ after.T, torch.eye(6))


class Equalised(nn.Module):
    """A convolution of its own kind, with a scale for each channel, which stays."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3, 3, 3))
        self.bias = nn.Parameter(torch.randn(4))
        self.scale = nn.Parameter(torch.full((4, 1, 1), 0.3))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, self.weight, self.bias) * self.scale


class Volume(nn.Module):
    """A convolution over channels, too."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv3d(1, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.layer(x[:, None]).flatten(1, 2))


class Deformed(nn.Module):
    """A deformable convolution without offsets."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = DeformConv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.layer(x, x.new_zeros(len(x), 18, SIZE - 2, SIZE - 2)))


class Attending(nn.Module):
    """Attention over rows of pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.MultiheadAttention(3 * SIZE, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.permute(0, 2, 1, 3).flatten(2)
        return torch.as_tensor(self.layer(rows, rows, rows)[0])


KINDS: dict[str, Callable[[], nn.Module]] = {
    "transposed": lambda: nn.ConvTranspose2d(3, 4, 3),
    "own": Equalised,
    "over channels": Volume,
    "deformable": Deformed,
    "attention": Attending,
}


@pytest.mark.parametrize("name", KINDS)
def test_random_weights_are_drawn_for_layers_of_every_kind(name: str) -> None:
    body = KINDS[name]()
    module = nn.Sequential(body, nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.LazyLinear(3)).eval()
    module(image()[None])
    before = {key: value.detach().clone() for key, value in body.state_dict().items()}
    control("random-weights").make(network(module), image(), 0)
    for key, after in body.state_dict().items():
        if key.endswith("bias"):
            assert not after.any()
        elif key == "scale":
            assert torch.equal(after, before[key])
        else:
            assert not torch.isclose(after, before[key]).any()
            fan = after[0].numel()
            assert after.square().mean().item() == pytest.approx(2 / fan, rel=0.5)


class Fused(nn.Module):
    """A convolution and its normalisation, one when they go to eval mode, or when they are built."""

    def __init__(self, channels: int, once: bool) -> None:
        super().__init__()
        self.conv, self.norm, self.once = nn.Conv2d(channels, 4, 3, bias=False), nn.BatchNorm2d(4), once
        self.fuse()

    def fuse(self) -> None:
        gain = self.norm.get_parameter("weight") / (self.norm.get_buffer("running_var") + self.norm.eps).sqrt()
        self.register_buffer("kernel", (self.conv.weight * gain[:, None, None, None]).detach(), persistent=False)

    def train(self, mode: bool = True) -> Fused:
        super().train(mode)
        if not mode and not self.once:
            self.fuse()
        return self

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, self.get_buffer("kernel"))


def test_random_weights_are_those_that_a_network_fuses() -> None:
    module = nn.Sequential(Fused(3, False), nn.ReLU(), Fused(4, False), nn.Flatten(), nn.LazyLinear(3)).eval()
    module(image()[None])
    made = control("random-weights").make(network(module), image(), 0)
    x = image()[None]
    for place, layer in enumerate(part for part in module if isinstance(part, Fused)):
        x = nn.functional.conv2d(x, layer.conv.weight) / np.sqrt(1 + layer.norm.eps)
        x = x if place else x.relu()
    torch.testing.assert_close(made(image()[None])[1], x.flatten(1))


def test_random_weights_that_are_not_what_a_network_computes_with_are_refused() -> None:
    module = nn.Sequential(nn.Conv2d(3, 3, 1), Fused(3, True), nn.Flatten(), nn.LazyLinear(3)).eval()
    module(image()[None])
    with pytest.raises(EpsballError, match="its layer '1.conv' has a weight that is not used: the network computes"):
        control("random-weights").make(network(module), image(), 0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(UNITS, 3)).eval()
    with pytest.raises(EpsballError, match="the network's features do not change with the weights of its layers"):
        control("random-weights").make(network(module), image(), 0)


def test_random_weights_that_are_made_of_something_else_are_refused() -> None:
    class Made(nn.Linear):
        """Makes its weight of a buffer, in each pass."""

        def __init__(self) -> None:
            super().__init__(UNITS, 6)
            self.register_buffer("kept", self.weight.detach().clone())
            del self.weight

        def forward(self, x: Tensor) -> Tensor:
            self.weight: Any = 2 * self.get_buffer("kept")
            return super().forward(x)

    module = nn.Sequential(nn.Flatten(), Made(), nn.ReLU(), nn.Linear(6, 3)).eval()
    module(image()[None])
    with pytest.raises(EpsballError, match="weight of its layer '1' is made in each pass of something"):
        control("random-weights").make(network(module), image(), 0)


def test_random_weights_that_change_nothing_are_refused() -> None:
    class Hidden(nn.Module):
        """Computes with modules that are in a list, beside layers of which it uses none."""

        def __init__(self) -> None:
            super().__init__()
            self.parts = [conv_net()]
            self.side = nn.Identity()
            self.other = nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.parts[0](self.side(x))
            return logits

    with pytest.raises(EpsballError, match="has weights that are not among its parameters"):
        control("random-weights").make(Network(Hidden().eval(), "side"), image(), 0)


@pytest.mark.parametrize("name", ["linearised", "rbf"])
def test_a_control_forgets_the_sample_before(name: str) -> None:
    once, again = (forward.Forward(control(name).make(network(conv_net()), image(), 0), COMPUTE) for _ in range(2))
    again.refit_at(image(5), 2)
    again.float64(image(6)[None])
    copied = again._float64
    for passes in (once, again):
        passes.refit_at(image(7), 1)
    assert torch.equal(once.float64(image(8)[None])[0], again.float64(image(8)[None])[0])
    assert torch.equal(once(image(8)[None])[0], again(image(8)[None])[0])
    assert again._float64 is copied, "a copy for each sample would pile up"


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_is_measured_alike_twice(stages: Stages, name: str) -> None:
    one, two = (measured(stages, conv_net(), name) for _ in range(2))
    for probe, table in one.items():
        pd.testing.assert_frame_equal(table, two[probe])


@pytest.mark.slow
def test_claims_against_a_control_are_paired(tmp_path: Path) -> None:
    write_run(tmp_path, samples=30, growth=10.0, floor=1e-6)
    config = replace(MINIMAL_RUN, controls=("linearised",))
    generator = np.random.default_rng(2)
    shared = {f"s{number}": factor for number, factor in enumerate(generator.uniform(0.5, 2, 30))}
    for path in sorted((tmp_path / "metrics" / "net").glob("*.parquet")):
        table = pd.read_parquet(path)
        write_table(tmp_path / "metrics" / "net~linearised" / path.name, table)
        if path.stem == "isotropy":
            table["range"] *= table["sample"].map(shared)
            write_table(tmp_path / "metrics" / "net" / path.name, table.assign(range=table["range"] * 3))
            write_table(tmp_path / "metrics" / "net~linearised" / path.name, table)
    judged = judge(config, tmp_path)
    rows = judged[judged["control"] == "linearised"].set_index("claim")
    isotropy = pd.read_parquet(tmp_path / "metrics" / "net~linearised" / "isotropy.parquet")
    medians = isotropy.groupby("radius")["range"].median()
    row = rows.loc["little change at epsilon"]
    assert row["estimate"] == pytest.approx(medians[0.1])
    found = [row["difference"], row["difference_low"], row["difference_high"]]
    assert found == pytest.approx([3, 3, 3]), "three times as large for each sample"
    assert row["verdict"] == "differs"
    # Both grow by the same factor, sample by sample: paired, there is no spread at all.
    row = rows.loc["more anisotropic at 1"]
    assert [row["difference"], row["difference_low"], row["difference_high"]] == pytest.approx([1, 1, 1])
    assert row["verdict"] == "equivalent"
    assert set(rows["verdict"]) == {"differs", "equivalent", "undecided"}
    assert "permuted against redrawn" in rows.index
    own = judged[judged["control"] == ""]
    alone = judge(MINIMAL_RUN, tmp_path)
    together = ["adjusted_verdict"]  # the more verdicts, the stricter
    pd.testing.assert_frame_equal(own.drop(columns=together).reset_index(drop=True), alone.drop(columns=together))


@pytest.mark.slow
def test_controls_are_drawn(tmp_path: Path) -> None:
    write_run(tmp_path, samples=5, growth=3.0, floor=1e-6)
    config = replace(MINIMAL_RUN, controls=tuple(CONTROLS))
    for name in CONTROLS:
        shutil.copytree(tmp_path / "metrics" / "net", tmp_path / "metrics" / f"net~{name}")
    drawn = figures.figure("beyond_controls", Run(config, tmp_path))
    lines = [len(ax.get_lines()) for ax in drawn.axes]
    # Of the range: the network, two controls; of topology: four, and the line of 0; of the ratio: four.
    assert lines == [3, 6, 5]
    assert "beyond_controls" in figures.names(config)
    assert "beyond_controls" not in figures.names(MINIMAL_RUN)


def test_an_unknown_control_is_named() -> None:
    with pytest.raises(EpsballError, match="controls has 'linear', no such control; .*linearised"):
        chosen_controls(replace(MINIMAL_RUN, controls=("linear",)))
