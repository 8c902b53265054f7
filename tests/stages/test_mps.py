"""Apple's GPUs have no float64. Here there is none: one is pretended, on which float64 is a mistake."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from epsball.config import Ball
from epsball.networks import forward
from epsball.networks.model import Network
from epsball.perturbations import ball
from epsball.perturbations.ball import Draws
from epsball.perturbations.families import FAMILIES, family
from support.toys import BALL, COMPUTE, conv_net
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

DEVICE = "meta"  # a device of PyTorch's own without numbers


class WithoutFloat64(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Raises where a tensor on the device is float64; what comes back is all ones."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten._to_copy.default and args[0].device.type == DEVICE:
            target = torch.device(kwargs.get("device") or DEVICE)
            if target.type == "cpu":
                return torch.ones(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype)
        if func is torch.ops.aten._local_scalar_dense.default and args[0].device.type == DEVICE:
            return 1
        out = func(*args, **kwargs)
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and tensor.device.type == DEVICE and tensor.dtype == torch.float64:
                raise AssertionError(f"{func} makes float64 on the device")
        return out


def test_float64_is_found_out() -> None:
    with pytest.raises(AssertionError, match="makes float64 on the device"), WithoutFloat64():  # type: ignore[no-untyped-call]
        torch.zeros(3, device=DEVICE).double()


@pytest.mark.parametrize(
    ("norm", "noise"), [("l2", "uniform"), ("l2", "gaussian"), ("l2", "sphere"), ("linf", "uniform")]
)
@pytest.mark.parametrize("name", FAMILIES)
def test_perturbations_are_made_without_float64_on_the_device(name: str, norm: Any, noise: Any) -> None:
    spec = Ball(radii=BALL.radii, epsilon=0.1, draws=4, norm=norm, noise=noise)
    with WithoutFloat64():  # type: ignore[no-untyped-call]
        vectors = family(name).draw(
            Draws(seed=3, radius=1.0, draws=range(4), shape=(16, 16, 3), spec=spec, device=DEVICE)
        )
        images = ball.perturbed(torch.zeros(16, 16, 3, device=DEVICE), vectors, clip=True)
    assert images.shape == (4, 3, 16, 16)
    assert images.device.type == DEVICE
    assert images.dtype == torch.float32


def test_the_floors_passes_are_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[tuple[str, torch.dtype]] = []
    for kind in (nn.Module, Tensor):

        def to(self: Any, *args: Any, original: Any = kind.to, **kwargs: Any) -> Any:
            moved.extend((argument, kwargs.get("dtype", next(iter(args[1:]), torch.float32))) for argument in args[:1]
                         if isinstance(argument, str))  # fmt: skip
            return original(self, *("cpu" if argument == "mps" else argument for argument in args), **kwargs)

        monkeypatch.setattr(kind, "to", to)
    monkeypatch.setattr(forward, "device", lambda name: "mps")
    passes = forward.Forward(Network(conv_net().eval().requires_grad_(False)), COMPUTE)
    images = torch.rand(2, 3, 6, 6)
    passes(images)
    logits, _ = passes.float64(images)
    assert logits.dtype == torch.float64
    assert ("mps", torch.float32) in moved
    assert ("cpu", torch.float64) in moved
    assert ("mps", torch.float64) not in moved
