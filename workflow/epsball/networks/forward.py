"""Forward passes: from images to logits and features, in batches of one size."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from epsball.config import Compute
from epsball.data.images import Pictures
from epsball.errors import EpsballError, is_out_of_memory
from epsball.networks import process
from epsball.networks.copying import float64_copy
from epsball.networks.outputs import NOT_FINITE, describe_failure

_log = logging.getLogger(__name__)

Passed = Callable[[], tuple[Tensor, Tensor]]  # waits for logits and features; can be called any number of times


def configure(compute: Compute) -> None:
    """Set this process up for passes, and require that the configured device exists."""
    process.set_up(compute.threads)
    device(compute.device)


def device(name: str) -> str:
    """Return the device to use for a configured name, which must exist."""
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(kind for kind in present if present[kind])
    if not present[name]:
        raise EpsballError(f"configuration: device is {name}, which this machine does not have; use auto or cpu")
    return name


def inputs(pictures: Pictures) -> Tensor:
    """Convert pictures to network inputs.

    Args:
        pictures: (..., height, width, 3), uint8 or float32 in [0, 1].

    Returns:
        float32 (..., 3, height, width) in [0, 1].
    """
    writable = np.require(pictures, requirements="W")  # PyTorch warns of read-only arrays, which Pillow makes
    images = torch.from_numpy(writable).movedim(-1, -3)
    return images.float() / 255 if images.dtype == torch.uint8 else images


@runtime_checkable
class Refittable(Protocol):
    """A control that is another network around each sample; its state dict keeps its shapes."""

    def refit_at(self, image: Tensor, label: int) -> None:
        """Become the network around this image, float32 (3, height, width)."""


def arrange(module: nn.Module, layout: torch.memory_format) -> nn.Module:
    """Arrange the weights of convolutions in a layout; `Module.to` fails where one is in three dimensions.

    Pairs may be real and imaginary parts, which `torch.view_as_complex` wants side by side.
    """
    of_convolutions = {
        id(held) for part in module.modules() if isinstance(part, nn.modules.conv._ConvNd) for held in part.parameters()
    }

    def arranged(held: Tensor) -> Tensor:
        pairs = held.shape[-1:] == (2,) and id(held) not in of_convolutions
        return held.contiguous(memory_format=layout) if held.ndim == 4 and not pairs else held

    made: nn.Module = module._apply(arranged)  # type: ignore[no-untyped-call]
    return made


class Forward:
    """A network on a device, which gets batches of one size.

    Args:
        network: module from images to logits and features: `epsball.networks.model.Network` or a control of one.
        compute: device, batch size and compilation.
        exclusive: whether this process locks the GPU that it uses until it ends.
    """

    def __init__(self, network: nn.Module, compute: Compute, exclusive: bool = True) -> None:
        self.device = device(compute.device)
        if self.device == "cuda" and exclusive:
            torch.cuda.set_device(process.own_gpu())
        self.size = compute.batch  # images in a pass; smaller once that many did not fit into memory
        # In full float32, cuDNN is up to a fifth faster in the plain layout (H100).
        self.layout = torch.contiguous_format if self.device == "cuda" else torch.channels_last
        self._network = arrange(network.to(self.device), self.layout)
        self._run: Callable[[Tensor], tuple[Tensor, Tensor]] = self._network
        self._what = "forward pass"
        # Compiled code has the weights as constants; those of a control change with each sample.
        if compute.compile and self.device == "cpu" and not isinstance(network, Refittable):
            from torch._inductor import config  # takes a second

            torch.use_deterministic_algorithms(True)  # tells the compiler
            # Patched around each pass: what traces the network does not see options of torch.compile.
            self._run = config.patch(freezing=True)(torch.compile(self._network, dynamic=False))
            # It would warn that there is no GPU.
            logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
            self._what += ", which 'compile: true' compiles by a C++ compiler,"
        self._float64: nn.Module | None = None
        self._has_float64 = True
        self._float64_size = compute.batch
        self._float64_device = "cpu" if self.device == "mps" else self.device

    def refit_at(self, image: Tensor, label: int) -> None:
        """Refit the network at an image of a class, float32 (3, height, width) on the device, if it is `Refittable`."""
        if not isinstance(self._network, Refittable):
            return
        self._network.refit_at(image, label)
        if self._float64 is not None:
            # Not a new copy: modules with hooks are in reference cycles, and old copies would pile up.
            with torch.no_grad():
                self._float64.load_state_dict(self._network.state_dict())

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (n, classes) and features (n, units), float32 on the CPU; see `start`."""
        return self.start(images)()

    @torch.no_grad()
    def start(self, images: Tensor) -> Passed:
        """Start a pass, so that the device works while the CPU does something else.

        The size of a batch can change float rounding, so a short batch is filled up with copies of its last image.
        A batch that does not fit into memory is passed in smaller ones, as are all batches after it; `size` and the
        log say so.

        Args:
            images: float32 (n, 3, height, width) in [0, 1].

        Returns:
            A function that waits for the logits (n, classes) and features (n, units), float32 on the CPU.

        Raises:
            EpsballError: one image does not fit into memory, or the network's own code fails. The returned function
                raises it if logits are not finite.
        """
        logits, features, self.size = _pass_in_batches(self._pass_padded, images, self.size, self._what)
        arrived = _copy_to_cpu(logits, features)

        def passed() -> tuple[Tensor, Tensor]:
            logits, features = arrived()
            if not logits.isfinite().all():
                raise EpsballError(f"{NOT_FINITE}, or set clip if it takes no image beyond [0, 1]")
            if not features.isfinite().all():  # of one image, though not of that which was looked at first
                raise EpsballError("the network's features are not finite; check its weights, or set its key layer")
            return logits, features

        return passed

    def _pass_padded(self, images: Tensor, size: int) -> tuple[Tensor, Tensor]:
        count = len(images)
        if count < size:
            images = torch.cat([images, images[-1:].expand(size - count, -1, -1, -1)])
        logits, features = self._run(images.to(self.device, memory_format=self.layout))
        return logits[:count].detach(), features[:count].detach()  # a network may turn gradients on

    @torch.no_grad()
    def unpadded(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and features of a batch of just these images, float32 on the CPU; see `start`."""
        logits, features = self._network(images.to(self.device, memory_format=self.layout))
        return logits.detach().cpu(), features.detach().cpu()

    def float64(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and features computed in float64; see `start_float64`."""
        return self.start_float64(images)()

    @torch.no_grad()
    def start_float64(self, images: Tensor) -> Passed:
        """Start a pass in float64, for the noise floor; on the CPU where the device has no float64.

        Returns:
            A function that waits for the logits and features, float64 on the CPU. They are NaN if the network does not
            compute in float64, as with `x.float()` in its code; a warning says so.

        Raises:
            EpsballError: one image does not fit into memory.
        """
        if self._has_float64:
            try:
                return self._start_float64(images)
            except _NoRoomError:
                raise
            except EpsballError as error:
                self._has_float64 = False
                _log.warning("the noise floor is not available: %s", error)
        shown = self.start(images)()
        return lambda: (shown[0].double() * torch.nan, shown[1].double() * torch.nan)

    def _start_float64(self, images: Tensor) -> Passed:
        if self._float64 is None:
            # In the plain layout, float64 convolutions on the CPU are more than twice as fast.
            self._float64 = float64_copy(self._network, self._float64_device)
        what = "forward pass in float64, for the noise floor,"
        logits, features, self._float64_size = _pass_in_batches(self._pass_float64, images, self._float64_size, what)
        if not logits.dtype == features.dtype == torch.float64:
            raise EpsballError(f"the network's {what} gives {str(features.dtype).removeprefix('torch.')}")
        return _copy_to_cpu(logits, features)

    def _pass_float64(self, images: Tensor, size: int) -> tuple[Tensor, Tensor]:
        assert self._float64 is not None
        logits, features = self._float64(images.to(self._float64_device, torch.float64).contiguous())
        return logits.detach(), features.detach()


def _copy_to_cpu(logits: Tensor, features: Tensor) -> Passed:
    if logits.device.type != "cuda":
        here = logits.cpu(), features.cpu()
        return lambda: here
    copies = logits.to("cpu", non_blocking=True), features.to("cpu", non_blocking=True)  # into pinned memory
    event = torch.Event("cuda")
    event.record()

    def arrived() -> tuple[Tensor, Tensor]:
        event.synchronize()
        return copies

    return arrived


class _NoRoomError(EpsballError):
    """One image does not fit into memory."""


def _pass_in_batches(
    run: Callable[[Tensor, int], tuple[Tensor, Tensor]], images: Tensor, size: int, what: str
) -> tuple[Tensor, Tensor, int]:
    """Pass images in batches of at most `size`; return logits, features and the batch size that fits into memory."""
    while True:
        try:
            logits, features = zip(*(run(batch, size) for batch in torch.split(images, size)), strict=True)
            return torch.cat(logits), torch.cat(features), size
        except EpsballError:
            raise
        except Exception as error:  # a user's network can raise anything
            if not is_out_of_memory(error):
                raise EpsballError(describe_failure(what, error)) from error
            if size == 1:
                message = textwrap.shorten(str(error), 300)
                raise _NoRoomError(f"memory does not suffice for one image: {message}") from None
            size = -(-size // 2)
            _log.warning("out of memory; going on with passes of %d images: scores may round otherwise", size)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
