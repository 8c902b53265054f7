"""Derivatives of every kind of network, against differences in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from epsball.config import NetworkSpec
from epsball.controls import control
from epsball.errors import EpsballError
from epsball.networks import forward, layers
from epsball.networks.model import build
from epsball.probes import white_box_probe
from epsball.robustness import derivatives, differentiation
from support.toys import COMPUTE, white_box_input
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from torchvision.models import densenet, mobilenetv3, resnet, swin_transformer, vision_transformer

STEP = 1e-5
STATISTICS = torch.arange(1, 13).view(4, 3)


class Remembered(torch.autograd.Function):
    """A function with a backward pass of its own and no forward derivative, as people write them to save memory."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        ctx.save_for_backward(value)
        return value * value.sigmoid()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (value,) = ctx.saved_tensors
        made: Tensor = gradient * value.sigmoid() * (1 + value * (1 - value.sigmoid()))
        return made


def remembered(value: Tensor) -> Tensor:
    made: Tensor = Remembered.apply(value)
    return made


class Lambda(nn.Module):
    def __init__(self, function: Callable[..., Tensor], *parts: nn.Module) -> None:
        super().__init__()
        self.function, self.parts = [function], nn.ModuleList(parts)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.function[0](images, *self.parts)
        return out


def tokens(images: Tensor) -> Tensor:
    return images.flatten(start_dim=2).mT


def looked_at(images: Tensor) -> Tensor:
    """Sample a spatial transformer's grid, which depends on the image."""
    return functional.grid_sample(images, images[:, :2].permute(0, 2, 3, 1) * 0.5, align_corners=False)


def attended(x: Tensor) -> Tensor:
    return functional.scaled_dot_product_attention(x, x, x)


def exported(module: nn.Module, decomposed: bool = False) -> nn.Module:
    """A graph, which has no eval mode: it is not made a part."""
    like = torch.rand(2, 3, 6, 6, dtype=torch.float64)
    program = torch.export.export(module.double().eval(), (like,), dynamic_shapes=({0: torch.export.Dim("n")},))
    made: nn.Module = (program.run_decompositions() if decomposed else program).module()
    return made


def normalised_by(operation: Any, images: Tensor, own: bool) -> Tensor:
    """Normalise by an operation whose statistics come after weight and bias."""
    return tokens(operation(images, *STATISTICS.to(images), own, 0.1, 1e-5, False))


def folded(images: Tensor) -> Tensor:
    """Normalise each image by its own statistics, as channels of one image."""
    one = images.reshape(1, -1, *images.shape[2:])
    return tokens(functional.batch_norm(one, None, None, training=True).view_as(images))


def trained_norm(kind: Any = nn.BatchNorm2d) -> nn.Module:
    """Normalisation by running statistics that are not 0 and 1."""
    module: nn.Module = kind(3, affine=True, track_running_stats=True)
    for number, tensor in enumerate([*module.parameters(), module.running_mean, module.running_var]):
        nn.init.uniform_(tensor, 0.5 + number, 1 + number)  # type: ignore[arg-type]
    return module


def checkpointed(*parts: nn.Module) -> nn.Module:
    """Compute the activations again in the backward pass."""
    inner = nn.Sequential(nn.Conv2d(3, 3, 1), *parts)
    return Lambda(lambda x, part: tokens(checkpoint(part, x, use_reentrant=False)), inner)


def encoder() -> nn.Module:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(3, 1, 8, batch_first=True), 1)


OPERATIONS: dict[str, Callable[[], nn.Module]] = {
    "hard sigmoid": nn.Hardsigmoid,
    "hard swish": nn.Hardswish,
    "gated": lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.GLU(dim=1)),
    "layer norm": lambda: nn.LayerNorm([3, 6, 6]),
    "instance norm": lambda: nn.InstanceNorm2d(3),
    "batch norm, to tokens": lambda: Lambda(lambda x, part: tokens(part(x)), trained_norm()),
    "batch norm by a function": lambda: Lambda(
        lambda x: tokens(functional.batch_norm(x, *torch.arange(1, 13).view(4, 3).to(x)))
    ),
    "instance norm, to tokens": lambda: Lambda(lambda x, part: tokens(part(x)), nn.InstanceNorm2d(3, affine=True)),
    "instance norm of constants": lambda: Lambda(lambda x, part: tokens(part(x)), trained_norm(nn.InstanceNorm2d)),
    "group norm": lambda: nn.GroupNorm(1, 3),
    "depthwise": lambda: nn.Sequential(nn.Conv2d(3, 3, 3, groups=3), nn.GELU()),
    "encoder, with its fast path": lambda: Lambda(lambda x, part: part(tokens(x)), encoder()),
    "fused attention": lambda: Lambda(lambda x: attended(tokens(x)[:, None])),
    "LSTM": lambda: Lambda(lambda x, part: part(tokens(x))[0], nn.LSTM(3, 4, batch_first=True)),
    "spatial transformer": lambda: Lambda(looked_at),
    "distances": lambda: Lambda(lambda x: torch.cdist(tokens(x), torch.arange(90.0).to(x).sin().view(1, 30, 3))),
    "a function of one's own": lambda: Lambda(remembered),
    "exported": lambda: Lambda(exported(nn.Hardsigmoid())),
    "exported batch norm": lambda: Lambda(exported(trained_norm())),
    "exported batch norm, decomposed": lambda: Lambda(exported(trained_norm(), decomposed=True)),
    "batch norm by PyTorch's operation": lambda: Lambda(lambda x: normalised_by(torch.batch_norm, x, False)),
    "instance norm by PyTorch's operation": lambda: Lambda(lambda x: normalised_by(torch.instance_norm, x, True)),
    "batch norm of one image, channels folded": lambda: Lambda(folded),
    "checkpointed batch norm": lambda: checkpointed(trained_norm(), nn.GELU()),
    "checkpointed layer norm": lambda: checkpointed(nn.LayerNorm([3, 6, 6]), nn.Hardswish()),
}


def tiny_vit() -> nn.Module:
    module: nn.Module = vision_transformer.VisionTransformer(16, 8, 2, 2, 16, 32, num_classes=5)
    nn.init.normal_(module.get_parameter("heads.head.weight"))  # it starts at zero
    return module


def tiny_swin() -> nn.Module:
    module: nn.Module = swin_transformer.SwinTransformer([4, 4], 12, [1, 1], [1, 1], [2, 2], num_classes=5)
    return module


def tiny_mobilenet() -> nn.Module:
    module: nn.Module = mobilenetv3.mobilenet_v3_small(num_classes=5)
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(part.weight)  # by what enters: otherwise depthwise outputs vanish
    return module


ARCHITECTURES: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "vit": (tiny_vit, 16),
    "swin": (tiny_swin, 16),
    "convnext": (lambda: torchvision.models.convnext_tiny(num_classes=5, layer_scale=0.5), 32),
    "mobilenet": (tiny_mobilenet, 32),
    "densenet": (lambda: densenet.DenseNet(4, (2, 2), 8, num_classes=5), 32),
    "residual": (lambda: resnet.ResNet(resnet.BasicBlock, [1, 1, 1, 1], num_classes=5), 32),
}


def specified(factory: str, **args: int) -> nn.Module:
    return build(NetworkSpec("net", "any", factory, args=args), pretrained=False)


def image(side: int) -> Tensor:
    return torch.rand(3, side, side, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def check(module: nn.Module, side: int, second: bool = True) -> None:
    """Compare the chosen derivatives, of a module in float64, with differences."""
    module = module.double().eval().requires_grad_(False)

    def function(images: Tensor) -> Tensor:
        out: Tensor = module(images)
        return out.flatten(start_dim=1)

    at = image(side)
    along = torch.stack([image(side).flip(0) - 0.5, image(side).flip(1) - 0.5])
    once = differentiation.first_order(function, at)

    def slope(point: Tensor) -> Tensor:
        return once(function, point, along)[1]

    plain = function(at[None])
    ends = [torch.cat([function((at + sign * STEP * one)[None]) for one in along]) for sign in (1, -1)]
    expected = (ends[0] - ends[1]) / (2 * STEP)
    size = float(expected.abs().max())
    assert size > 1e-3
    torch.testing.assert_close(once(function, at, along)[0], plain.expand_as(expected))
    torch.testing.assert_close(slope(at), expected, rtol=1e-3, atol=1e-5 * size)
    weights = torch.linspace(-1, 1, plain.shape[1], dtype=torch.float64)
    pulled = derivatives.pulled_back(function, at, weights[None])[0]
    torch.testing.assert_close((pulled * along).sum(dim=(1, 2, 3)), expected @ weights, rtol=1e-3, atol=1e-4 * size)
    if second:
        first, curved = differentiation.second_order(function, at)(function, at, along)
        bent = torch.cat(
            [
                once(function, at + STEP * one, one[None])[1] - once(function, at - STEP * one, one[None])[1]
                for one in along
            ]
        ) / (2 * STEP)
        torch.testing.assert_close(first, expected, rtol=1e-3, atol=1e-5 * size)
        torch.testing.assert_close(curved, bent, rtol=1e-3, atol=1e-4 * (size + float(bent.abs().max())))


@pytest.mark.parametrize("name", OPERATIONS)
def test_derivatives_of_an_operation_are_its_differences(name: str) -> None:
    torch.manual_seed(0)
    check(OPERATIONS[name](), 6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_derivatives_of_an_architecture_are_its_differences(name: str) -> None:
    torch.manual_seed(0)
    made, side = ARCHITECTURES[name]
    # With kinks, differences of slopes are others'.
    check(made(), side, second=name in ("vit", "swin", "convnext", "mobilenet"))


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ARCHITECTURES, "efficientnet-lite", "ciresan2012", "aghdam2015"])
def test_white_box_probes_and_controls_take_an_architecture(name: str) -> None:
    """In float32, through the passes of a run; the linearised network in float64 too, as for the noise floor."""
    torch.manual_seed(0)
    if name in ARCHITECTURES:
        made, side = ARCHITECTURES[name]
        module = made()
    elif name == "efficientnet-lite":
        module, side = specified("efficientnet-lite:0", image_size=64), 64
    else:
        module, side = specified(f"sign:{name}"), 48
    at = image(side).float()
    given = white_box_input(module, at, draws=3, power_iterations=3, clever_batches=3, clever_size=2)
    for probe in ("gradient", "expansion", "lipschitz_bounds", "depth"):
        table = white_box_probe(probe).measure(given)
        assert len(table)
    assert (table["units"] > 0).all()
    network, move = given.network, 1e-3 * (image(side).flip(0).float() - 0.5)
    exact = network.double()
    logits, _ = exact(torch.stack([image(side), image(side) + move.double()]))
    network.float()
    for kind in ("linearised", "rbf"):
        passes = forward.Forward(control(kind).make(network, at, 0), COMPUTE)
        passes.refit_at(at, int(logits[0].argmax()))
        for found in (passes((at + move)[None])[0], passes.float64((at + move)[None])[0]):
            assert found.isfinite().all()
            if kind == "linearised":
                torch.testing.assert_close(found[0].double(), logits[1], rtol=1e-3, atol=1e-3)


def test_what_pytorch_cannot_differentiate_is_one_sentence() -> None:
    """Its forward mode gives 0 for deformable convolutions, and backward mode has no second derivative."""
    weight = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0))

    def deformed(images: Tensor) -> Tensor:
        offset = images.mean(dim=1, keepdim=True)[:, :, :4, :4].expand(-1, 18, -1, -1)
        made: Tensor = torchvision.ops.deform_conv2d(images, offset, weight).flatten(start_dim=1)
        return made

    at = image(6).float()
    for choose in (differentiation.first_order, differentiation.second_order):
        with pytest.raises(EpsballError, match=r"^PyTorch cannot differentiate the network \(Run[^\n]*$"):
            choose(deformed, at)
    assert derivatives.pulled_back(deformed, at, torch.ones(1, 64).double()).any(), "the gradient it can"


def test_passes_before_and_after_are_bit_for_bit_the_same() -> None:
    torch.manual_seed(0)
    module = OPERATIONS["encoder, with its fast path"]().eval().requires_grad_(False)
    mode = torch.get_deterministic_debug_mode()
    with torch.inference_mode():
        before = module(image(6).float()[None])
    with pytest.raises(EpsballError, match="this"), differentiation.differentiating():
        assert not torch.backends.mha.get_fastpath_enabled()
        raise EpsballError("this")
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.get_deterministic_debug_mode() == mode
    with torch.inference_mode():
        assert torch.equal(module(image(6).float()[None]), before)


def test_layers_have_a_row_for_each_image() -> None:
    """Attention works on windows, several an image, and some encoders have tokens first."""
    module = Lambda(lambda x, windows, turned, last: last(turned(windows(x.view(-1, 9)).view(len(x), -1).T).T))
    module.parts.extend([nn.Identity(), nn.Identity(), nn.Identity()])
    names = ["parts.0", "parts.1", "parts.2"]
    assert layers.sizes(module, module, names, image(6)) == {"parts.2": 108}
