"""Derivatives, and the probes made of them, against functions whose derivatives are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from epsball.probes import white_box_probe
from epsball.robustness import clever, derivatives, differentiation
from scipy.stats import genextreme, weibull_max
from support.toys import BALL, SIZE, conv_net, white_box_input
from torch import Tensor, nn

UNITS = 3 * SIZE * SIZE


def image(seed: int = 0) -> Tensor:
    return torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


class Quadratic(nn.Module):
    """Logits xᵀ A x / 2 + b x of each class."""

    def __init__(self, curvature: float) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        matrices = torch.randn(3, UNITS, UNITS, generator=generator) * curvature / UNITS**0.5
        self.matrices = nn.Buffer((matrices + matrices.mT) / 2)
        self.linear = nn.Buffer(torch.randn(3, UNITS, generator=generator) / UNITS**0.5)
        self.layer = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(start_dim=1)
        out: Tensor = self.layer(torch.einsum("ni,kij,nj->nk", flat, self.matrices, flat) / 2 + flat @ self.linear.T)
        return out


class Softened(nn.Module):
    """A network whose class 0 leads by a constant, so that its score is near 1; class 1 is always the next."""

    def __init__(self, module: nn.Module, lead: float) -> None:
        super().__init__()
        self.module, self.lead, self.layer = module, lead, nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(self.module(x) + torch.tensor([self.lead, 0.0, -self.lead], dtype=x.dtype))
        return out


def test_of_a_quadratic_function_the_second_order_is_all() -> None:
    table = white_box_probe("expansion").measure(
        white_box_input(Softened(Quadratic(0.3), 30.0), image(), layer="layer")
    )
    assert table["radius"].tolist() == [0.1, 1.0, 3.0]
    assert (table["margin_second"] > 1 - 1e-4).all()
    # Curvature matters the more, the larger the radius.
    assert table["margin_first"].is_monotonic_decreasing
    assert table["margin_first"].iloc[0] > 0.99
    assert table["margin_first"].iloc[-1] < 0.95
    assert table["margin_mean_second"].to_numpy() == pytest.approx(table["margin_mean"].to_numpy(), rel=1e-2, abs=1e-5)


def test_derivatives_along_a_direction_are_those_of_autograd() -> None:
    module, at = Quadratic(1.0).double(), image().double()
    directions = torch.stack([image(seed).double() - 0.5 for seed in (1, 2)])
    first, second = differentiation.second_order(module, at)(module, at, directions)
    flat, around = directions.flatten(start_dim=1), at.flatten()
    expected = torch.einsum("kij,j,ni->nk", module.matrices, around, flat) + flat @ module.linear.T
    np.testing.assert_allclose(first, expected, rtol=1e-10)
    np.testing.assert_allclose(second, torch.einsum("ni,kij,nj->nk", flat, module.matrices, flat), rtol=1e-10)


def test_the_scores_expansion_is_that_of_its_hessian_by_autograd() -> None:
    """The chain rule through softmax, at a score of 1 - 1e-5, against second derivatives of the score itself."""
    module = Softened(Quadratic(0.5), 11.0)
    given = white_box_input(module, image(), layer="layer", ball=replace(BALL, radii=(0.0, 0.1, 1.0), draws=6))
    found = white_box_probe("expansion").measure(given).iloc[1]
    at = image().double().flatten()

    def score(flat: Tensor) -> Tensor:
        out: Tensor = module.double()(flat.view(1, 3, SIZE, SIZE))[0].softmax(dim=0)[0]
        return out

    gradient, hessian = torch.func.grad(score)(at), torch.func.hessian(score)(at)
    images = given.perturbed("uniform", 1.0)
    moves = (images.double() - image().double()).flatten(start_dim=1)
    changes = np.array([float(score(at + move) - score(at)) for move in moves])
    first = (moves @ gradient).numpy()
    second = first + torch.einsum("ni,ij,nj->n", moves, hessian, moves).numpy() / 2
    for name, expansion in (("score_first", first), ("score_second", second)):
        assert 1 - found[name] == pytest.approx((changes - expansion).var() / changes.var(), rel=0.02)
    assert found["score_mean_second"] == pytest.approx(second.mean(), rel=1e-3)


def test_a_piecewise_linear_network_has_no_hessian() -> None:
    module = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(20, 3))
    table = white_box_probe("expansion").measure(white_box_input(module, image()))
    assert (table["logits_second"] == 0).all()
    assert (table["margin_second"] == table["margin_first"]).all()
    curved = white_box_probe("expansion").measure(white_box_input(conv_net(), image()))
    assert (curved["logits_second"] > 0).all()


def test_gradients_of_score_and_margin_are_those_of_autograd() -> None:
    module = Softened(conv_net(), 9.0)
    found = white_box_probe("gradient").measure(white_box_input(module, image(), layer="layer")).iloc[0]
    at = image().double().requires_grad_()
    logits = module.double()(at[None])[0]
    score = logits.softmax(dim=0)[0]
    margin = logits[0] - logits[1:].max()
    for name, value in (("score", score), ("margin", margin)):
        (gradient,) = torch.autograd.grad(value, at, retain_graph=True)
        assert found[name] == pytest.approx(value.item(), rel=1e-6)
        assert found[f"gradient_{name}"] == pytest.approx(gradient.norm().item(), rel=1e-4)
        assert found[f"asymmetry_{name}"] == pytest.approx((gradient - gradient.mean()).norm().item(), rel=1e-4)


def test_equal_elements_of_the_gradient_make_a_function_symmetric_and_not_isotropic() -> None:
    inner, outer = nn.Linear(UNITS, 4, bias=False), nn.Linear(4, 3, bias=False)
    inner.weight.data.fill_(0.1)
    outer.weight.data.fill_(0.1)
    outer.weight.data[0] = 0.5
    module = nn.Sequential(nn.Flatten(), inner, outer)
    found = white_box_probe("gradient").measure(white_box_input(module, image())).iloc[0]
    assert found["gradient_margin"] == pytest.approx(4 * 0.4 * 0.1 * UNITS**0.5, rel=1e-5)
    assert found["asymmetry_margin"] < 1e-6


def test_score_gradient_does_not_cancel() -> None:
    logits = torch.tensor([50.0, 0.0, -1.0], dtype=torch.float64)
    gradient = derivatives.score_gradient(logits, 0)
    missing = float(torch.exp(logits[1:] - 50).sum())
    assert gradient[0].item() == pytest.approx(missing, rel=1e-9)
    assert gradient.sum().item() == pytest.approx(0, abs=1e-30)


def test_jacobian_norm_of_a_linear_map_is_its_largest_singular_value() -> None:
    weight = torch.randn(20, UNITS, generator=torch.Generator().manual_seed(3))

    def function(images: Tensor) -> Tensor:
        return images.flatten(start_dim=1) @ weight.T

    found = derivatives.jacobian_norm(function, image(), 500, 5)
    largest = float(torch.linalg.matrix_norm(weight, 2))
    assert found.converged
    assert found.value == pytest.approx(largest, rel=2e-3)
    assert found.value <= largest * (1 + 1e-6), "power iteration comes from below"
    short = derivatives.jacobian_norm(function, image(), 2, 5)
    assert not short.converged
    assert short.value < found.value
    assert short.residual > found.residual


def test_the_jacobians_norm_is_above_every_sampled_ratio_at_a_small_radius() -> None:
    given = white_box_input(conv_net(), image(), power_iterations=300)
    found = white_box_probe("lipschitz_bounds").measure(given).iloc[0]
    jacobian = torch.func.jacrev(lambda x: given.network(x[None])[1][0])(image())
    assert found["jacobian_norm"] == pytest.approx(
        float(torch.linalg.matrix_norm(jacobian.flatten(start_dim=1), 2)), rel=1e-3
    )
    assert found["sampled_rms"] <= found["sampled_max"] <= found["jacobian_norm"] * 1.001 <= found["global_bound"]
    assert found["sampled_rms"] == pytest.approx(float(jacobian.norm()) / UNITS**0.5, rel=0.2)
    for name in ("sampled_rms", "sampled_max", "jacobian_norm", "global_bound"):
        assert found[f"{name}_normalised"] == found[name] * given.scale
    assert found["margin_gradient"] <= found["clever_lipschitz"]
    assert 0 <= found["clever_score"] <= given.settings.clever_radius


def test_clever_of_a_linear_margin_is_its_norm() -> None:
    weight = torch.randn(UNITS, generator=torch.Generator().manual_seed(4))
    norms = clever.gradient_norms(lambda x: x.flatten(start_dim=1) @ weight, image(), 2.0, 5, 4, 7, 1)
    assert norms.shape == (5, 4)
    length = float(weight.norm())
    found = clever.clever(0.5 * length, norms, 2.0)
    assert found.lipschitz == pytest.approx(length, rel=1e-5)
    assert found.score == pytest.approx(0.5, rel=1e-5)
    assert clever.clever(5 * length, norms, 2.0).score == 2.0
    assert clever.clever(-1.0, norms, 2.0).score == 0


def test_clever_finds_the_end_of_a_reverse_weibull_distribution() -> None:
    maxima = weibull_max.rvs(4.0, loc=7.0, scale=2.0, size=400, random_state=np.random.default_rng(2))
    found = clever.location(maxima)
    shape, place, scale = genextreme.fit(maxima)  # the same family in another form: its end is at place + scale / shape
    assert found == pytest.approx(place + scale / shape, rel=0.02)
    assert found == pytest.approx(7.0, rel=0.05)


def test_a_distribution_without_an_end_has_no_location() -> None:
    maxima = np.random.default_rng(3).gumbel(5.0, 0.1, 60)
    assert maxima.max() <= clever.location(maxima) < 4 * maxima.max()


@pytest.mark.slow
def test_clever_is_that_of_the_adversarial_robustness_toolbox() -> None:
    metrics = pytest.importorskip("art.metrics", reason="needs adversarial-robustness-toolbox")
    estimators = pytest.importorskip("art.estimators.classification", reason="needs adversarial-robustness-toolbox")
    module, radius = conv_net().eval(), 5.0
    logits = module(image()[None])[0].detach().double()
    label = int(logits.argmax())
    other = derivatives.runner_up(logits, label)
    wrapped = estimators.PyTorchClassifier(module, nn.CrossEntropyLoss(), (3, SIZE, SIZE), 3, device_type="cpu")
    np.random.seed(2)  # noqa: NPY002 the toolbox draws from it
    theirs = metrics.clever_t(wrapped, image().numpy(), other, 60, 60, radius, norm=2, pool_factor=60)

    def margin(images: Tensor) -> Tensor:
        out: Tensor = module(images)
        return out[:, label] - out[:, other]

    norms = clever.gradient_norms(margin, image(), radius, 60, 60, 20, 1)
    found = clever.clever(float(logits[label] - logits[other]), norms, radius)
    assert 0 < theirs < radius, "not cut at the radius"
    assert found.score == pytest.approx(float(theirs), rel=0.1)


def test_gradients_are_sampled_in_the_ball_whatever_the_batch() -> None:
    seen: list[Tensor] = []

    def square(images: Tensor) -> Tensor:
        seen.append(images.detach())
        return images.flatten(start_dim=1).square().sum(dim=1) / 2

    one = clever.gradient_norms(square, torch.zeros(3, SIZE, SIZE), 1.5, 4, 5, 20, 3)
    assert one == pytest.approx(torch.cat(seen).flatten(start_dim=1).norm(dim=1).numpy().reshape(4, 5), rel=1e-6)
    assert one.max() <= 1.5 * (1 + 1e-6)
