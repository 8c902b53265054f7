"""The TorchScript that a network was converted from: whether both give the same logits at the size of the images.

Converted code has the sizes of the images that it was converted at as constants.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._python_dispatch import _get_current_dispatch_mode

from epsball.errors import EpsballError
from epsball.networks.graphs import FromGraph

TOLERANCE = 1e-4  # of logits in float32, relative to the largest
_COMPARED = 2  # images of a batch
_ADVICE = "give the network by its Python code, as a factory"


class Original:
    """A script, which all copies of the converted network share.

    Args:
        scripted: the script, on the CPU.
        name: what messages begin with.
        size: side of the images that it was converted at, in pixels.
    """

    def __init__(self, scripted: Any, name: str, size: int) -> None:
        self._scripted, self._name, self._size = scripted, name, size
        self._compared: set[torch.Size] = set()

    def __deepcopy__(self, memo: dict[int, Any]) -> Original:
        return self

    def is_comparable(self, module: nn.Module, images: Tensor) -> bool:
        """Return whether a pass of images is one of numbers, the first of its shape, with the weights of the script."""
        return (
            type(images) is Tensor
            and images.dtype == torch.float32
            and images.shape not in self._compared
            and not torch.compiler.is_compiling()
            and _get_current_dispatch_mode() is None
            and torch._C._functorch.peek_interpreter_stack() is None
            and self._has_weights_of(module)
        )

    def _has_weights_of(self, module: nn.Module) -> bool:
        own, theirs = module.state_dict(), self._scripted.state_dict()
        return all(torch.equal(own[name].cpu(), theirs[name]) for name in own.keys() & theirs.keys())

    @torch.no_grad()
    def logits(self, images: Tensor) -> Any:
        """Return the script's output for the first images of a batch (n, 3, height, width).

        Raises:
            EpsballError: it fails.
        """
        try:
            return self._scripted(images[:_COMPARED].cpu().contiguous().clone())
        except Exception as error:  # the file can hold anything
            raise EpsballError(f"{self._name} does not take images of {_pixels(images)}: {_last_line(error)}") from None

    def differs(self, images: Tensor, how: str) -> EpsballError:
        """Return the error that the converted code does not do at the size of images what the script does."""
        found = f"{self._name}, converted at {self._size} × {self._size} pixels (args.image_size), {how} of "
        height, width = images.shape[2:]
        if height != width or height == self._size:
            return EpsballError(f"{found}{_pixels(images)}; {_ADVICE}")
        return EpsballError(f"{found}{_pixels(images)}; set args.image_size to {height}, or {_ADVICE}")

    def require_same(self, images: Tensor, expected: Any, found: Any) -> None:
        """Check the converted network's output for images against the script's for the first of them.

        Raises:
            EpsballError: they differ.
        """
        if isinstance(expected, Tensor) and isinstance(found, Tensor):
            first = found[: len(expected)].detach().cpu()
            tolerance = TOLERANCE * float(expected.abs().max())
            if first.shape != expected.shape:
                raise self.differs(images, "does not give the script's outputs for images")
            if not torch.allclose(first, expected, atol=tolerance, equal_nan=True):
                far = float((first - expected).abs().max())
                raise self.differs(images, f"gives outputs that are off the script's by up to {far:.2g} for images")
        self._compared.add(images.shape)


class Converted(FromGraph):
    """A converted network, which compares itself with the script in the first pass of each shape."""

    def __init__(self, module: fx.GraphModule, original: Original) -> None:
        super().__init__(module)
        self._original = original

    def forward(self, images: Tensor) -> Any:
        """Run the code on images (n, 3, height, width).

        Raises:
            EpsballError: the script does otherwise.
        """
        if not self._original.is_comparable(self, images):
            return super().forward(images)
        expected = self._original.logits(images)  # first, because the code may work in place
        try:
            found = super().forward(images)
        except RuntimeError as error:
            if len(images) > _COMPARED:  # of many, memory may not suffice
                raise
            how = f"fails ({_last_line(error)}), as the script does not, at images"
            raise self._original.differs(images, how) from None
        self._original.require_same(images, expected, found)
        return found


def _pixels(images: Tensor) -> str:
    height, width = images.shape[2:]
    return f"{width} × {height} pixels"


def _last_line(error: Exception) -> str:
    """Return the last line of a message: those of scripts begin with a traceback."""
    return str(error).strip().rpartition("\n")[2][:150]
