"""Derivatives that PyTorch has and that are not the change of the outputs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from epsball.config import WhiteBox
from epsball.controls.linearised import make
from epsball.errors import EpsballError
from epsball.probes import PROBES, derivatives, white_box_probe
from epsball.robustness.true_derivative import wrong_derivative
from epsball.runs.gaps import UnavailableError
from epsball.stages.measure_white_box import measure_white_box
from support.toys import BALL, Stages, white_box_input
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import shufflenet_v2_x0_5


class Rounded(torch.autograd.Function):
    """Rounds, and passes the gradient on as it comes."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return (x * 255).round() / 255

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient


class Halved(Rounded):
    """Passes half the gradient on, of a function that does nothing."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient / 2


def without_gradient(x: Tensor) -> Tensor:
    with torch.no_grad():
        return x.mean(dim=1, keepdim=True).sigmoid()


class Net(nn.Module):
    """A small network with a function of the images before it."""

    def __init__(self, before: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.before, self.gate = before, nn.Conv2d(3, 8, 1)
        self.conv, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.before(x)
        out: Tensor = self.head(functional.adaptive_max_pool2d(self.conv(x).relu(), 1).flatten(1))
        return out


WRONG: dict[str, Callable[[Tensor], Tensor]] = {
    "detached in part": lambda x: x * x.mean(dim=(2, 3), keepdim=True).detach(),
    "without gradient": lambda x: x * without_gradient(x),
    "straight-through": Rounded.apply,
    "straight-through, by detach": lambda x: x + ((x * 255).round() / 255 - x).detach(),
    "a derivative of its own": Halved.apply,
}
WRONG_IN_FLOAT32: dict[str, Callable[[Tensor], Tensor]] = {
    "detached in part": lambda x: x.float() * x.float().mean(dim=(2, 3), keepdim=True).detach(),
    "a derivative of its own": lambda x: Halved.apply(x.float()),
}
RIGHT: dict[str, Callable[[Tensor], Tensor]] = {
    "as it is": lambda x: x,
    "normalised in part by constants": lambda x: (x - x.new_tensor(0.5).detach()) / 0.25,
    "clamped": lambda x: (x * 3 - 1).clamp(0, 1),
    "median": lambda x: x - x.flatten(2).median(dim=2).values[..., None, None],
    "no gradient at all": lambda x: x * 0 + 0.5,
    "float32 inside": lambda x: x.float(),
    "float32 inside, normalised": lambda x: functional.instance_norm(x.float()),
    "half precision inside": lambda x: x.half().float(),
}


def image(what: str = "noise") -> Tensor:
    noise = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(1))
    return {"noise": noise, "flat": torch.full_like(noise, 0.5), "black and white": (noise > 0.5).float()}[what]


@pytest.mark.parametrize("what", ["noise", "flat", "black and white"])
@pytest.mark.parametrize("name", [*WRONG, *RIGHT])
def test_found_and_no_false_alarm(name: str, what: str) -> None:
    torch.manual_seed(0)
    network = white_box_input(Net((WRONG | RIGHT)[name]), image(what)).network
    found = wrong_derivative(network, image(what))
    assert bool(found) == (name in WRONG), found
    if found:
        assert "keep values out of the derivative" in found
        with pytest.raises(EpsballError, match="is not the change of its outputs"):
            make(network, image(what), 0)


@pytest.mark.parametrize("what", ["noise", "black and white"])  # pooling of a flat image has its kinks too near
@pytest.mark.parametrize("name", WRONG_IN_FLOAT32)
def test_found_where_there_is_no_float64(name: str, what: str) -> None:
    torch.manual_seed(0)
    network = white_box_input(Net(WRONG_IN_FLOAT32[name]), image(what)).network
    assert "keep values out of the derivative" in wrong_derivative(network, image(what))


@pytest.mark.parametrize("name", ["gradient", "lipschitz_bounds", "boundary"])
def test_a_derivative_that_is_not_finite_at_an_image_is_told(name: str) -> None:
    def contrast(x: Tensor) -> Tensor:
        mean = functional.avg_pool2d(x, 3, 1, 1)
        return (x - mean) / (functional.avg_pool2d((x - mean).square(), 3, 1, 1).sqrt() + 1e-3)

    black = image()
    black[:, :5] = 0
    inputs = white_box_input(Net(contrast), black)
    assert not wrong_derivative(inputs.network, black)
    with pytest.raises(EpsballError, match="derivative of the network is not finite at an image; likely causes"):
        white_box_probe(name).measure(inputs)


def test_it_is_in_the_features_alone() -> None:
    class Both(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x.flatten(1)[:, :4] ** 2, (x * x.detach()).flatten(1)

    assert wrong_derivative(Both(), image())  # type: ignore[arg-type]


def test_rectifiers_with_kinks_within_the_largest_step_are_no_fault() -> None:
    torch.manual_seed(0)
    module, black = shufflenet_v2_x0_5(weights=None), torch.zeros(3, 224, 224)
    assert not wrong_derivative(white_box_input(module, black).network, black)


def test_a_probe_that_measures_it_is_refused_and_attacks_are_warned_of(
    stages: Stages, caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(0)
    given = white_box_input(Net(WRONG["straight-through"]), torch.rand(3, 8, 8))
    network, settings = given.network, WhiteBox(draws=2, directions=1, power_iterations=1)

    def run(probe: str) -> object:
        rows, images = stages.samples[:1], stages.pool
        return measure_white_box(probe, network, "net", given.forward, rows, images, BALL, settings, 0.5)

    measured = [name for name in PROBES if derivatives(name) == "measured"]
    assert measured == ["gradient", "expansion", "lipschitz_bounds"]
    for probe in measured:
        with pytest.raises(
            UnavailableError, match=f"networks.net: probe '{probe}' cannot be measured .*straight-through"
        ):
            run(probe)
    run("boundary")
    assert caplog.text.count("attacks that follow it may miss nearer examples") == 1
