"""The global Lipschitz bound against dense matrices, Jacobians and differences."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from epsball.config import NetworkSpec
from epsball.errors import EpsballError
from epsball.networks import efficientnet_lite, sign
from epsball.networks.layers import normalise
from epsball.networks.model import Network
from epsball.robustness import operator_norm
from epsball.robustness.global_bound import Bound, global_bound
from torch import Tensor, nn
from torch.nn import functional

Pair = tuple[int, int]
SPEC = NetworkSpec(name="net", dataset="mine", factory="efficientnet-lite:0", args={"image_size": 32})


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(*layers: nn.Module, seed: int = 0) -> Network:
    """Layers whose output, flattened, are the features; random weights and statistics, in float64."""
    # The Linear layer is never reached by the features: it has one input, so that any number of them does.
    module = nn.Sequential(*layers, nn.Flatten(), Features(), Mean(), nn.Linear(1, 2)).double().eval()
    module.requires_grad_(False)
    random = generator(seed)
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            part.weight.normal_(0, part.weight[0].numel() ** -0.5, generator=random)
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_var is not None
            part.running_var.uniform_(0.1, 2, generator=random)
            part.weight.normal_(generator=random)
    return Network(module, next(name for name, part in module.named_modules() if isinstance(part, Features)))


class Features(nn.Identity):
    """Marks the features."""


class Mean(nn.Module):
    """One number of them."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=1, keepdim=True)


class Function(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Branches(nn.Module):
    """Two branches and how they meet."""

    def __init__(self, one: nn.Module, other: nn.Module, meet: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.one, self.other, self.meet = one, other, meet

    def forward(self, x: Tensor) -> Tensor:
        return self.meet(self.one(x), self.other(x))


def joined(one: Tensor, other: Tensor) -> Tensor:
    return torch.cat([one, other], dim=1)


def bounded(made: Network, size: Pair) -> Bound:
    found = global_bound(made, (3, *size))
    assert found.unavailable == ""
    return found


def slope(made: Network, image: Tensor) -> float:
    """The largest singular value of the features' Jacobian."""
    image = image.clone().requires_grad_()
    rows = [torch.autograd.grad(feature, image, retain_graph=True)[0].flatten() for feature in made(image[None])[1][0]]
    return float(torch.linalg.matrix_norm(torch.stack(rows), 2))


def steepest(made: Network, image: Tensor) -> float:
    """The largest difference quotient along what changes the features fast, for networks with large Jacobians."""
    at = image.clone().requires_grad_()
    features = made(at[None])[1]
    along, quotients = torch.ones_like(features), []
    for _ in range(5):
        (direction,) = torch.autograd.grad(features, at, along, retain_graph=True)
        step = 1e-4 * direction / direction.norm()
        along = (made((image + step)[None])[1] - features).detach()
        quotients.append(float(along.norm() / step.norm()))
    return max(quotients)


def dense_norm(function: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> float:
    """The norm of a linear function, by its matrix."""
    units = torch.eye(math.prod(shape), dtype=torch.float64).view(-1, *shape)
    columns = (function(units) - function(torch.zeros(1, *shape, dtype=torch.float64))).flatten(start_dim=1)
    return float(torch.linalg.matrix_norm(columns, 2))


@pytest.mark.parametrize("shape", [(5, 5), (40, 7), (7, 40), (1, 9), (9, 1), (60, 60)])
def test_the_norm_of_a_matrix_is_its_largest_singular_value(shape: Pair) -> None:
    matrix = torch.randn(*shape, dtype=torch.float64, generator=generator())
    exact = float(torch.linalg.matrix_norm(matrix, 2))
    for scale in (1.0, 1e-30, 1e30):
        found = operator_norm.linear(scale * matrix) / scale
        assert exact * (1 - 1e-12) <= found <= exact * (1 + operator_norm.TOLERANCE)


def test_the_norm_of_equal_singular_values_and_of_none() -> None:
    turned = torch.linalg.qr(torch.randn(30, 30, dtype=torch.float64, generator=generator()))[0]
    assert 1 - 1e-12 <= operator_norm.linear(turned) <= 1 + operator_norm.TOLERANCE
    assert operator_norm.linear(torch.zeros(3, 4)) == 0
    with pytest.raises(EpsballError, match="not finite"):
        operator_norm.linear(torch.tensor([[1.0, math.nan]]))


@pytest.mark.parametrize(
    ("outputs", "inputs", "kernel", "stride", "padding", "dilation", "groups", "size", "factor"),
    [
        (4, 3, (3, 3), (1, 1), (1, 1), (1, 1), 1, (9, 8), 1.15),
        (4, 3, (3, 3), (1, 1), (0, 0), (1, 1), 1, (8, 8), 1.15),
        (4, 3, (3, 3), (2, 2), (1, 1), (1, 1), 1, (9, 8), 1.15),
        (5, 2, (4, 2), (1, 2), (2, 0), (1, 1), 1, (7, 6), 1.15),
        (3, 4, (3, 3), (3, 2), (2, 1), (2, 3), 1, (9, 9), 1.2),
        (4, 2, (3, 3), (1, 1), (2, 2), (2, 2), 2, (7, 7), 1.4),
        (6, 1, (5, 5), (2, 2), (2, 2), (1, 1), 6, (8, 7), 1.4),
        (6, 1, (5, 5), (2, 2), (2, 2), (1, 1), 3, (8, 7), 1.4),
        (3, 3, (7, 7), (2, 2), (3, 3), (1, 1), 1, (3, 4), 2.5),
        (3, 3, (5, 5), (3, 3), (6, 6), (1, 1), 1, (4, 4), 2.0),
        (4, 3, (3, 3), (1, 1), (1, 1), (1, 1), 1, (1, 1), 6.0),
        (3, 4, (2, 2), (2, 2), (0, 0), (1, 1), 1, (6, 7), 1.002),
        (3, 4, (1, 1), (2, 2), (1, 1), (1, 1), 1, (6, 6), 1.002),
    ],
)
def test_the_norm_of_a_convolution_is_bounded_from_above_and_closely(
    outputs: int,
    inputs: int,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    size: Pair,
    factor: float,
) -> None:
    for seed in range(5):
        weight = torch.randn(outputs, inputs, *kernel, dtype=torch.float64, generator=generator(seed))
        exact = dense_norm(
            lambda x, of=weight: functional.conv2d(x, of, None, stride, padding, dilation, groups),  # type: ignore[misc]
            (inputs * groups, *size),
        )
        found = operator_norm.convolution(weight, stride, padding, dilation, groups, *size)
        assert exact * (1 - 1e-12) <= found <= exact * factor


def test_a_circular_convolution_has_the_norm_of_its_torus() -> None:
    weight = torch.randn(3, 2, 3, 3, dtype=torch.float64, generator=generator())
    exact = dense_norm(
        lambda x: functional.conv2d(functional.pad(x, (0, 2, 0, 2), mode="circular"), weight, stride=2), (2, 8, 6)
    )
    found = operator_norm.convolution(weight, (2, 2), (0, 0), (1, 1), 1, 8, 6)
    assert found == pytest.approx(exact, rel=operator_norm.TOLERANCE)


def test_chunks_of_frequencies_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = torch.randn(8, 4, 3, 3, generator=generator())
    arguments = ((1, 1), (1, 1), (1, 1), 2, 12, 13)
    whole = operator_norm.convolution(weight, *arguments)
    monkeypatch.setattr(operator_norm, "_MEMORY", 1)
    assert operator_norm.convolution(weight, *arguments) == pytest.approx(whole, rel=operator_norm.TOLERANCE)


class Each(nn.ModuleList):
    """Layers side by side: one graph of many."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([layer(x.clone()).flatten(start_dim=1) for layer in self], dim=1)


def norms(layers: list[nn.Module], size: Pair) -> list[float]:
    """What each layer, a chain of operations, multiplies a bound by."""
    steps = bounded(network(Each(layers)), size).by_layer
    within = [[step.norm for step in steps if f"{step.layer}.".startswith(f"0.{i}.")] for i in range(len(layers))]
    assert all(within)
    return [math.prod(own) for own in within]


def one_by_one(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda x: torch.cat([function(image[None]).flatten(start_dim=1) for image in x])


@pytest.mark.slow
def test_a_linear_operation_has_the_norm_of_its_matrix() -> None:
    layers: list[nn.Module] = [
        nn.Flatten(),
        nn.Sequential(nn.Flatten(), nn.Linear(3 * 6 * 7, 20), nn.Dropout()),
        nn.BatchNorm2d(3),
        nn.AvgPool2d(2),
        nn.AvgPool2d(3, 2, 1),
        nn.AvgPool2d(3, 2, 1, ceil_mode=True),
        nn.AvgPool2d((3, 2), (1, 2), (1, 0), count_include_pad=False),
        nn.AvgPool2d(4, 3, 2, ceil_mode=True, count_include_pad=False),
        nn.AvgPool2d(3, 1, 1, divisor_override=2),
        nn.AdaptiveAvgPool2d(1),
        nn.AdaptiveAvgPool2d((4, 3)),
        nn.ZeroPad2d((1, -1, 2, 0)),
        nn.ConstantPad2d(1, 5.0),
        nn.ReflectionPad2d(3),
        nn.ReplicationPad2d((2, 0, 1, 3)),
        nn.CircularPad2d(2),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(3, 5, 2, stride=2),
        Function(lambda x: x.mean(dim=(2, 3))),
        Function(lambda x: x.sum(dim=1)),
        Function(lambda x: -3 * x + 2),
        Function(lambda x: 1 - x / 4),
        Function(lambda x: x.sub(1, alpha=5).mul_(3).add_(1)),
        Function(lambda x: torch.rsub(x, 1, alpha=2)),
        Function(lambda x: torch.tensor([1.0, -5.0, 2.0], dtype=x.dtype).view(3, 1, 1) * x),
        Function(lambda x: x.permute(0, 2, 3, 1).reshape(1, -1)[:, 3:9].unsqueeze(1)),
        Function(lambda x: x[:, [0, 0, 2, 0]]),
        Function(lambda x: x.expand(4, -1, -1, -1).reshape(1, -1)),
        Function(lambda x: x.flatten(1) @ torch.ones(126, 2, dtype=x.dtype)),
        Function(lambda x: torch.stack(x.chunk(3, dim=1)[:1]) + 0.5),
        Function(lambda x: x[:, :, :1] + torch.zeros(6, 1, dtype=x.dtype)),
        Function(lambda x: x[:, :1, :1, :1] * torch.full((9,), -2, dtype=x.dtype)),
        Function(lambda x: x[:, :1, :1].clamp(max=torch.full((6, 1), math.inf, dtype=x.dtype))),
    ]
    found = norms(layers, (6, 7))
    exact = [dense_norm(one_by_one(layer), (3, 6, 7)) for layer in layers]
    assert found == pytest.approx(exact, rel=operator_norm.TOLERANCE)


@pytest.mark.slow
def test_an_activation_has_its_largest_slope() -> None:
    layers: list[nn.Module] = [
        *(
            nn.ReLU(),
            nn.ReLU6(),
            nn.LeakyReLU(),
            nn.LeakyReLU(-1.5),
            nn.PReLU(3, 1.7),
            nn.ELU(),
            nn.ELU(2.5),
            nn.CELU(3),
        ),
        *(nn.SELU(), nn.Tanh(), nn.Sigmoid(), nn.GELU(), nn.GELU(approximate="tanh"), nn.SiLU(), nn.Mish()),
        *(nn.Hardswish(), nn.Hardsigmoid(), nn.Hardtanh(-2, 3), nn.Softplus(), nn.Softplus(3), nn.LogSigmoid()),
        *(Function(lambda x: x.clamp(min=-1)), Function(torch.abs), Function(torch.sin)),
        *(nn.ReLU(inplace=True), nn.Hardswish(inplace=True), nn.Sequential(nn.Tanh(), nn.Dropout(0.9))),
    ]
    found = norms(layers, (100, 100))
    image = torch.linspace(-9, 9, 30000, dtype=torch.float64).view(1, 3, 100, 100).requires_grad_()
    for layer, norm in zip(layers, found, strict=True):
        (slopes,) = torch.autograd.grad(layer(image.clone()).sum(), image)
        largest = float(slopes.abs().max())
        assert largest * (1 - 1e-7) <= norm <= largest * 1.001, layer


def test_the_bound_of_max_pooling_is_reached() -> None:
    windows: dict[nn.Module, int] = {
        nn.MaxPool2d(2): 1,
        nn.MaxPool2d(3, 2): 4,
        nn.MaxPool2d(3, 2, 1): 4,
        nn.MaxPool2d(3, 1, 1): 9,
        nn.MaxPool2d((3, 2), (1, 2), ceil_mode=True): 3,
        nn.MaxPool2d(3, 2, 1, dilation=2): 9,
        nn.MaxPool2d(3, 3, 1, dilation=2): 1,
        nn.AdaptiveMaxPool2d(3): 1,
        nn.AdaptiveMaxPool2d((4, 3)): 2,
    }
    found = norms(list(windows), (9, 9))
    assert found == pytest.approx([count**0.5 for count in windows.values()])
    # One bright element is the maximum of each window that it is in.
    bright = torch.eye(81, dtype=torch.float64).view(81, 1, 9, 9)
    lengths = [float(layer(bright).flatten(start_dim=1).norm(dim=1).max()) for layer in windows]
    assert lengths == pytest.approx(found)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "alpha", "beta", "k"), [(5, 1e-4, 0.75, 1.0), (3, 2.0, 0.75, 2.0), (2, 9.0, 2.0, 0.3)])
def test_local_response_normalisation_is_bounded(n: int, alpha: float, beta: float, k: float) -> None:
    made = network(nn.LocalResponseNorm(n, alpha, beta, k))
    found = bounded(made, (1, 2)).value
    slopes = [
        slope(made, scale * torch.randn(3, 1, 2, dtype=torch.float64, generator=generator(seed)))
        for scale in (0.01, 0.3, 1.0, 3.0, 10.0, 100.0)
        for seed in range(15)
    ]
    assert max(slopes) <= found
    assert found < 6 * k**-beta
    # Of one channel alone, what the derivative lacks of the quotient is a row's only element: at most 2βc.
    image = torch.zeros(40000, 3, 1, 1, dtype=torch.float64)
    image[:, 1, 0, 0] = torch.linspace(1e-3, 40, 40000, dtype=torch.float64)
    image.requires_grad_()
    normalised = functional.local_response_norm(image, n, alpha, beta, k)
    (derivative,) = torch.autograd.grad(normalised.sum(dim=(0, 2, 3))[1], image)
    lacking = float((normalised / image - derivative)[:, 1].detach().max())
    if alpha > 1:  # else too slow a change to be on the grid
        assert found == pytest.approx(k**-beta + lacking * min(n, 3) ** 0.5, rel=1e-3)
    # At 0 the division by k^β alone is left.
    assert slope(made, torch.zeros(3, 1, 2, dtype=torch.float64)) == pytest.approx(k**-beta)
    assert "local_response_norm" in {step.operation for step in bounded(made, (1, 2)).by_layer}


def residual(channels: int, middle: nn.Module) -> nn.Module:
    body = nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        middle,
        nn.Conv2d(channels, channels, 3, padding="same", groups=2),
    )
    return Branches(body, nn.Identity(), torch.add)


@pytest.mark.slow
@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), nn.Softplus(), nn.Conv2d(4, 6, 3, 2)],
        [nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), residual(4, nn.ReLU(inplace=True)), nn.MaxPool2d(3, 2)],
        [nn.Conv2d(3, 4, 3, 2, 1), Branches(nn.Conv2d(4, 3, 1), nn.MaxPool2d(3, 1, 1), joined), nn.SiLU()],
        [nn.Conv2d(3, 6, 3), nn.LocalResponseNorm(3, 2.0), nn.MaxPool2d(3, 2, ceil_mode=True), nn.Conv2d(6, 4, 2)],
        [nn.Conv2d(3, 6, 3, groups=3, dilation=2), nn.GELU(), nn.BatchNorm2d(6), nn.AvgPool2d(3, 2, 1)],
        [nn.Conv2d(3, 4, 2), residual(4, nn.ELU(1.5)), nn.Flatten(), nn.Linear(196, 9), nn.Tanh(), nn.Linear(9, 5)],
        [Branches(nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 5, padding=2), torch.sub), nn.Hardswish(), nn.BatchNorm2d(2)],
    ],
    ids=range(7),
)
def test_no_pair_of_images_exceeds_the_bound(layers: list[nn.Module]) -> None:
    made, size = network(*layers), (8, 8)
    found = bounded(made, size).value
    images = [torch.rand(3, *size, dtype=torch.float64, generator=generator(seed)) for seed in range(12)]
    slopes = [slope(made, image) for image in images]
    features = [made(image[None])[1] for image in images]
    quotients = [
        float((one - other).norm() / (x - y).norm())
        for x, one in zip(images, features, strict=True)
        for y, other in zip(images, features, strict=True)
        if x is not y
    ]
    assert max(slopes) <= found
    assert max(quotients) <= found
    assert found < 30 * max(slopes), "a bound that is far above says little of the rules"


@pytest.mark.slow
def test_bounds_add_up_where_branches_meet() -> None:
    three, four = Function(lambda x: 3 * x), Function(lambda x: 4 * x)
    assert bounded(network(Branches(three, four, joined)), (2, 2)).value == pytest.approx(5)
    assert bounded(network(Branches(three, four, torch.sub)), (2, 2)).value == pytest.approx(7)
    halves = Branches(Function(lambda x: 3 * x[:, :1]), four, torch.add)
    assert bounded(network(halves), (2, 2)).value == pytest.approx(3 * 3**0.5 + 4), "repeated over the channels"


def test_what_follows_in_place_is_of_the_changed_tensor() -> None:
    def changed(x: Tensor) -> Tensor:
        y = 1 * x
        y[:, :1].mul_(5)
        return y + x

    # 6 and 2 times the channels.
    assert bounded(network(Function(changed)), (2, 2)).value == pytest.approx(26**0.5 + 1)


@pytest.mark.slow
def test_batch_normalisation_is_one_operation_with_the_convolution_before_it() -> None:
    convolution, norm = nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5)
    together, between = network(convolution, norm), network(convolution, nn.Identity(), Function(torch.abs), norm)
    norm.weight.mul_(3)
    exact = dense_norm(lambda x: torch.cat([together(image[None])[1] for image in x]), (3, 8, 8))
    assert exact <= bounded(together, (8, 8)).value <= 1.15 * exact
    apart = [step.norm for step in bounded(between, (8, 8)).by_layer]
    assert bounded(between, (8, 8)).value == pytest.approx(math.prod(apart))
    assert bounded(together, (8, 8)).value < math.prod(apart)
    # What else uses the convolution is not normalised.
    both = network(convolution, Branches(norm, nn.Identity(), joined))
    norm.weight.zero_()
    assert bounded(both, (8, 8)).value == pytest.approx(apart[0], rel=operator_norm.TOLERANCE)
    # Features in front of it are not normalised.
    convolution, norm = nn.Conv2d(3, 5, 1).double(), nn.BatchNorm2d(5).double()
    norm.weight.data.fill_(100)
    module = nn.Sequential(convolution, norm, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval().requires_grad_(False)
    weight = convolution.weight.flatten(start_dim=1)
    assert bounded(Network(module, "0"), (8, 8)).value == pytest.approx(
        float(torch.linalg.matrix_norm(weight, 2)), rel=operator_norm.TOLERANCE
    )


@pytest.mark.slow
def test_features_are_those_of_the_layer_and_normalisation_counts() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.Softmax(dim=1), nn.Linear(4, 2)).eval()
    module[1].weight.data = torch.eye(4, 12)
    assert bounded(Network(normalise(module, [0, 0, 0], [0.5, 0.25, 1]), "1"), (2, 2)).value == pytest.approx(
        4, rel=1e-3
    )
    steps = bounded(Network(module, "1"), (2, 2)).by_layer
    assert [(step.layer, step.operation) for step in steps][-2:] == [("1", "linear"), ("1", "clone")]
    assert steps[-1].bound == pytest.approx(4, rel=1e-3)
    after = global_bound(Network(module), (3, 2, 2))
    assert math.isnan(after.value)
    assert after.unavailable == "no bound is known of the operation 'softmax' in layer '2'"
    assert after.by_layer == steps[:-1]


class AlwaysTraining(nn.BatchNorm2d):
    """By the batch's own statistics."""

    def train(self, mode: bool = True) -> AlwaysTraining:
        return super().train(True)


def depends_on_values(x: Tensor) -> Tensor:
    return x if x.sum() > 0 else -x


def depends_on_the_shape(x: Tensor) -> Tensor:
    return 2 * x if x.shape[-1] > 2 else x


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (Branches(nn.Sigmoid(), nn.Identity(), torch.mul), "product.*'mul'.*both depend on the image"),
        (Branches(nn.Sigmoid(), nn.Identity(), torch.div), "quotient.*'div'"),
        (Function(lambda x: 1 / x), "'reciprocal'"),
        (Function(lambda x: x**2), "'pow'"),
        (Function(lambda x: x @ x.mT), "'matmul'"),
        (Function(lambda x: x + torch.rand(1, dtype=x.dtype)), "random"),
        (Function(lambda x: x.round()), "'round'"),
        (Function(lambda x: functional.adaptive_max_pool2d(x, 1, return_indices=True)[1].double()), "no real numbers"),
        (nn.GroupNorm(1, 3), "norm"),
        (nn.Sequential(nn.Conv2d(3, 3, 1), AlwaysTraining(3)), "batch_norm"),
        (nn.ConvTranspose2d(3, 3, 2), "'conv_transpose2d'"),
        (nn.LocalResponseNorm(3, beta=-1.0), "local response normalisation"),
        (Function(lambda x: x * math.nan), "not finite"),
        (Function(depends_on_values), "cannot be traced"),
        (nn.Conv2d(4, 3, 1), "cannot be traced"),
    ],
    ids=str,
)
def test_what_has_no_bound_is_named(layer: nn.Module, named: str) -> None:
    found = global_bound(network(layer), (3, 4, 4))
    assert math.isnan(found.value)
    assert re.search(named, found.unavailable), found.unavailable
    assert "\n" not in found.unavailable


@pytest.mark.slow
def test_what_depends_on_the_shape_alone_is_settled() -> None:
    assert bounded(network(Function(depends_on_the_shape)), (2, 2)).value == 1
    assert bounded(network(Function(depends_on_the_shape)), (3, 3)).value == 2


def test_features_that_do_not_depend_on_the_image() -> None:
    assert bounded(network(Function(lambda x: torch.ones(1, 4, dtype=x.dtype))), (2, 2)).value == 0


def test_a_network_is_left_as_it_was() -> None:
    made, image = network(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), torch.rand(1, 3, 8, 8, dtype=torch.float64)
    state, before = {name: value.clone() for name, value in made.state_dict().items()}, made(image)
    bounded(made, (8, 8))
    assert all(torch.equal(value, state[name]) for name, value in made.state_dict().items())
    assert all(torch.equal(one, other) for one, other in zip(made(image), before, strict=True))


def published(name: str) -> nn.Module:
    from torchvision import models

    if name == "resnet18":
        return normalise(models.resnet18(weights=None), [0.5] * 3, [0.25] * 3)
    if name == "googlenet":
        made: nn.Module = models.googlenet(weights=None, aux_logits=False, transform_input=True, init_weights=False)
        return made
    if name == "efficientnet-lite:0":
        return efficientnet_lite.build(SPEC, pretrained=False)
    return sign.build(replace(SPEC, factory=name, args={}), pretrained=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("resnet18", 32),
        ("googlenet", 32),
        ("efficientnet-lite:0", 32),
        *((f"sign:{name}", 48) for name in sign.ARCHITECTURES),
    ],
)
def test_published_architectures_have_a_bound_above_their_slope(name: str, size: int) -> None:
    torch.manual_seed(0)
    made = Network(published(name).double().eval().requires_grad_(False))
    found = bounded(made, (size, size)).value
    image = torch.rand(3, size, size, dtype=torch.float64, generator=generator())
    assert 0 < steepest(made, image) <= found < math.inf
