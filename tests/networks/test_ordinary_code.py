"""Networks as people write them have the numbers that they have in plain PyTorch, or a sentence says why not."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import epsball
import numpy as np
import pandas as pd
import pytest
import torch
from epsball.errors import EpsballError
from epsball.networks.adopt import adopt
from epsball.networks.copying import copy_module
from epsball.networks.forward import Forward
from epsball.networks.model import Network, probe_shape
from epsball.networks.outputs import require_unbounded
from support.toys import COMPUTE, SIZE, conv_net
from torch import Tensor, nn

IMAGES = torch.rand(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


class Plain(nn.Module):
    """What the others do otherwise."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.fc = nn.Linear(4 * SIZE * SIZE, 3)

    def start(self, x: Tensor) -> Tensor:
        return (x - 0.4) / 0.2

    def flat(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.flat(self.conv(self.start(x)).relu()))
        return logits


LABELS = Plain().eval()(IMAGES).argmax(1)


class Views(Plain):
    def flat(self, x: Tensor) -> Tensor:
        return x.view(x.size(0), -1)


class ViewsOfASize(Plain):
    def flat(self, x: Tensor) -> Tensor:
        return x.view(torch.Size([len(x), 4 * SIZE * SIZE]))


class InPlace(Plain):
    def start(self, x: Tensor) -> Tensor:
        return x.sub_(0.4).div_(0.2)


class InDictionary(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return {"loss": None, "logits": super().forward(x)}  # type: ignore[return-value]


class InDataclass(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return SimpleNamespace(logits=super().forward(x))  # type: ignore[return-value]


class Locked(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()
        self.file = Path(__file__).open(encoding="utf-8")  # noqa: SIM115

    def forward(self, x: Tensor) -> Tensor:
        with self.lock:
            return super().forward(x)


def weight_normed() -> nn.Module:
    with pytest.warns(FutureWarning, match="weight_norm"):
        module = Plain()
        nn.utils.weight_norm(module.fc)
    return module


def parametrised() -> nn.Module:
    module = Plain()
    nn.utils.parametrizations.weight_norm(module.fc)
    return module


def measured(module: nn.Module) -> pd.DataFrame:
    table: pd.DataFrame = epsball.measure(module, IMAGES, LABELS, "lipschitz", radii=[1.0], draws=4, batch=4)
    return table


@pytest.mark.slow
@pytest.mark.parametrize(
    "make", [Views, ViewsOfASize, InPlace, InDictionary, InDataclass, Locked, weight_normed, parametrised]
)
def test_a_function_has_its_numbers_however_it_is_written(make: Callable[[], nn.Module]) -> None:
    before = IMAGES.clone()
    found, expected = measured(make()), measured(Plain())
    assert list(found.columns) == list(expected.columns)
    for column in found.select_dtypes("number"):
        if "floor" not in str(column):
            np.testing.assert_allclose(found[column], expected[column], rtol=2e-4, atol=1e-6)
    assert torch.equal(IMAGES, before)


@pytest.mark.parametrize("make", [InPlace, Views])
def test_derivatives_of_networks_that_write_over_their_input(make: Callable[[], nn.Module]) -> None:
    found, expected = (
        epsball.measure(module, IMAGES, LABELS, "gradient", radii=[1.0], draws=4, batch=4)
        for module in (make(), Plain())
    )
    pd.testing.assert_frame_equal(found, expected, rtol=1e-4)


@pytest.mark.slow
def test_channels_last_images_of_the_caller_are_not_written_over() -> None:
    images = IMAGES.to(memory_format=torch.channels_last, copy=True)
    before = images.clone()
    epsball.measure(InPlace(), images, [0] * len(images), radii=[1.0], draws=4, batch=4)
    assert torch.equal(images, before)


def test_a_copy_shares_what_cannot_be_copied_alone() -> None:
    module = Locked()
    made = copy_module(module)
    assert isinstance(made, Locked)
    assert made.lock is module.lock
    assert made.fc.weight is not module.fc.weight
    assert torch.equal(made.fc.weight, module.fc.weight)


def test_a_compiled_network_is_what_was_compiled() -> None:
    module = Plain()
    assert adopt(torch.compile(module)) is module  # type: ignore[arg-type]


def test_an_exported_network_works_with_a_layer_or_is_refused() -> None:
    batch = torch.export.Dim("batch")
    program = torch.export.export(Plain().eval(), (IMAGES,), dynamic_shapes=({0: batch},))
    with pytest.raises(EpsballError, match="no layer's output is the logits"):
        probe_shape(Network(adopt(program.module())), IMAGES[0])


def test_half_precision_stays_half_and_has_a_noise_floor() -> None:
    single, half = (Forward(Network(adopt(module)), COMPUTE) for module in (Plain(), Plain().half()))
    logits, features = half(IMAGES)
    assert logits.dtype == features.dtype == torch.float32
    assert logits == pytest.approx(single(IMAGES)[0], abs=0.02)
    assert not torch.equal(logits, single(IMAGES)[0])
    exact = half.float64(IMAGES)[0]
    assert 1e-5 < float((exact - logits).abs().max()) < 0.02


def test_double_precision_is_measured_in_single() -> None:
    assert Forward(Network(adopt(Plain().double())), COMPUTE)(IMAGES)[0].dtype == torch.float32


class Autocast(Plain):
    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return super().forward(x)


def test_autocast_is_measured_as_it_is() -> None:
    logits, _ = Forward(Network(Autocast().eval()), COMPUTE)(IMAGES)
    assert logits.dtype == torch.float32
    assert torch.equal(logits, Autocast().eval()(IMAGES).float()) or logits == pytest.approx(
        Autocast().eval()(IMAGES).float(), abs=0.05
    )


class HalfFirst(nn.Module):
    """A part in half precision comes first, and has no part in images."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.net = nn.Linear(2, 2).half(), Plain()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(x)
        return logits


class DoubleHead(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.fc.double()

    def flat(self, x: Tensor) -> Tensor:
        return x.flatten(1).double()


class DoubleLogits(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).double()


class DoubleMean(Plain):
    """As of statistics that NumPy made; PyTorch alone would not take it."""

    def __init__(self) -> None:
        super().__init__()
        self.average: Tensor
        self.register_buffer("average", torch.full((3, 1, 1), 0.4, dtype=torch.float64))

    def start(self, x: Tensor) -> Tensor:
        return (x - self.average) / 0.2


class WithGradients(Plain):
    """Features that are a gradient, of an energy."""

    def start(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            (found,) = torch.autograd.grad((0.5 * ((leaf - 0.4) / 0.2).square() * 0.2).sum(), leaf)
        return found


@pytest.mark.slow
@pytest.mark.parametrize("make", [HalfFirst, DoubleHead, DoubleLogits, DoubleMean, WithGradients])
def test_precision_and_gradients_inside_of_a_network_are_its_own(make: Callable[[], nn.Module]) -> None:
    found, expected = measured(make()), measured(Plain())
    np.testing.assert_allclose(found["ratio"], expected["ratio"], rtol=2e-4)


def test_a_wrapper_around_a_compiled_network_stays() -> None:
    class Forwarding(nn.Module):
        """Looks its attributes up in what it wraps."""

        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            try:
                return super().__getattr__(name)
            except AttributeError:
                return getattr(super().__getattr__("inner"), name)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = -self.inner(x)
            return logits

    wrapper = Forwarding(torch.compile(Plain(), backend="eager"))  # type: ignore[arg-type]
    assert adopt(wrapper) is wrapper


def test_hooks_on_a_compiled_network_are_refused() -> None:
    module: Any = torch.compile(Plain(), backend="eager")
    module.register_forward_pre_hook(lambda part, given: (1 - given[0],))
    with pytest.raises(EpsballError, match=r"has hooks on what torch\.compile returned; register them on the module"):
        adopt(module)


class Ends(Plain):
    def start(self, x: Tensor) -> Tensor:
        sys.exit(0)


def test_a_network_that_ends_the_program_is_told() -> None:
    with pytest.raises(EpsballError, match=r"forward pass ends the program \(exit code 0\)"):
        probe_shape(Network(Ends().eval()), IMAGES[0])


class Warped(Plain):
    """A spatial transformer, of which PyTorch has no forward derivative."""

    def start(self, x: Tensor) -> Tensor:
        grid = torch.zeros(len(x), SIZE, SIZE, 2).to(x) + x.mean((1, 2, 3))[:, None, None, None]
        return nn.functional.grid_sample(x, grid, align_corners=False) + x


class WarpedInSinglePrecision(Plain):
    def start(self, x: Tensor) -> Tensor:
        grid = torch.zeros(len(x), SIZE, SIZE, 2) + x.float().mean((1, 2, 3))[:, None, None, None]
        return nn.functional.grid_sample(x, grid, align_corners=False) + x


@pytest.mark.slow
@pytest.mark.parametrize("make", [Warped, WarpedInSinglePrecision])
def test_a_linearised_control_of_operations_without_forward_derivatives(make: Callable[[], nn.Module]) -> None:
    tables = epsball.measure(
        make(), IMAGES, LABELS, ["isotropy", "lipschitz"], controls=["linearised"], radii=[1.0], draws=4, batch=4
    )
    beyond = tables["lipschitz~linearised"].query("radius > 0")
    assert np.isfinite(beyond["ratio"]).all()
    floors = tables["isotropy~linearised"]["noise_floor"]
    assert floors.notna().all() if make is Warped else floors.isna().all()


class Squeezed(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).squeeze()


class Rows(Plain):
    def flat(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)).repeat(1, SIZE * SIZE).reshape(-1, 2 * SIZE * SIZE).repeat(1, 2)


class OneLogit(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[:, :1]


class Sigmoid(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).sigmoid()


class Softmax(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).softmax(1)


class Nothing(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return [super().forward(x), x]  # type: ignore[return-value]


class NotANumber(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * torch.nan


REFUSED = [
    (NotANumber, "the network's logits are not finite; check its weights and normalisation"),
    (Squeezed, r"gives a tensor \(3,\) of float32 for one image and a tensor \(2, 3\) of float32 for two"),
    (Rows, r"gives a tensor \(2, 3\) of float32 for one image and a tensor \(4, 3\) of float32 for two"),
    (OneLogit, r"has 1 output, expected a logit for each class; stack them as two logits"),
    (Softmax, "look like probabilities, expected logits; leave out its last softmax"),
    (Nothing, "gives a list of 2 for one image"),
]


@pytest.mark.parametrize(("make", "sentence"), REFUSED)
def test_outputs_that_are_no_logits_are_refused(make: Callable[[], nn.Module], sentence: str) -> None:
    with pytest.raises(EpsballError, match=sentence):
        probe_shape(Network(make().eval()), IMAGES[0])


def test_outputs_of_a_sigmoid_are_told_from_many_images() -> None:
    outputs = Sigmoid().eval()(torch.rand(12, 3, SIZE, SIZE))
    with pytest.raises(EpsballError, match="all lie between 0 and 1, as a sigmoid's do"):
        require_unbounded(outputs)
    require_unbounded(outputs + 1)
    require_unbounded(outputs / 10)


def test_modules_that_cannot_be_looked_into_are_refused() -> None:
    with pytest.raises(EpsballError, match="is TorchScript, whose layers cannot be looked into"):
        adopt(torch.jit.trace(Plain().eval(), IMAGES))  # type: ignore[no-untyped-call]
    with pytest.raises(EpsballError, match=r"'0\.weight' of the network has no shape before its first pass"):
        adopt(nn.Sequential(nn.LazyConv2d(3, 3)))


@pytest.mark.slow
def test_torchscript_inside_a_network_is_refused_or_left_alone_by_layer() -> None:
    inner = torch.jit.script(Plain().conv)
    module = nn.Sequential(inner, nn.Flatten(), nn.Linear(4 * SIZE * SIZE, 3))
    measure = functools.partial(epsball.measure, module, IMAGES, [0] * len(IMAGES), radii=[1.0], draws=4, batch=4)
    for layer in (None, "0"):
        with pytest.raises(EpsballError, match="has TorchScript as '0', whose layers cannot be looked into"):
            measure(layer=layer)
    measure(layer="1")


class Uncopied(Plain):
    def __deepcopy__(self, memo: object) -> None:
        raise TypeError("not me")


def test_a_network_that_refuses_to_be_copied_is_refused() -> None:
    with pytest.raises(EpsballError, match=r"cannot be copied, .* \(TypeError: not me\); mend or remove __deepcopy__"):
        epsball.measure(Uncopied(), IMAGES, [0] * len(IMAGES))


@pytest.mark.parametrize("inner", [False, True])
def test_hooks_of_a_traced_network_are_in_its_copies(inner: bool) -> None:
    """PyTorch copies a graph module without them."""
    traced = torch.fx.symbolic_trace(conv_net())
    traced.register_forward_pre_hook(lambda _, given: (given[0] * 2 - 1,))
    made = adopt(nn.Sequential(traced, nn.Identity()) if inner else traced)
    assert torch.equal(copy_module(made)(IMAGES), conv_net()(IMAGES * 2 - 1))
    assert torch.equal(made(IMAGES), conv_net()(IMAGES * 2 - 1))
    assert copy_module(made).state_dict().keys() == made.state_dict().keys()
