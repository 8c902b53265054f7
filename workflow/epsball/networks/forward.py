"""Forward passes: device, precision, batches of one size, and the allocator. From images to scores and features."""

from __future__ import annotations

import contextlib
import copy
import ctypes
import functools
import logging
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from epsball.config import Compute
from epsball.data.images import Pictures
from epsball.errors import EpsballError
from epsball.networks import gpus

_log = logging.getLogger(__name__)

Passed = Callable[[], tuple[Tensor, Tensor]]  # waits for logits and features; any number of times

# glibc's names for what mallopt sets (malloc.h).
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_TRIMMED, _MMAPS = 128 * 1024, 65536  # its defaults

_alone = ContextVar("alone", default=True)  # whether this process takes a GPU for itself


def configure(compute: Compute) -> None:
    """Set this process up: threads, determinism, full float32 precision, memory that is kept between passes.

    Raises:
        EpsballError: the device that was asked for is not there.
    """
    _set_up_process(compute.threads)
    device(compute.device)


@functools.cache
def own_gpu() -> int:
    """The GPU of this process, taken once it needs one; waits until one is free."""
    return gpus.take(gpus.present())


@contextlib.contextmanager
def configured(threads: int) -> Iterator[None]:
    """The same while the block lasts, for a process that has other work too: it takes no GPU for itself alone."""
    before = torch.get_num_threads(), torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32
    products = torch.backends.cuda.matmul.allow_tf32
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    strict = torch.get_deterministic_debug_mode()
    token = _alone.set(False)
    _set_up_process(threads)
    try:
        yield
    finally:
        _alone.reset(token)
        torch.set_num_threads(before[0])
        torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = before[1:]
        torch.backends.cuda.matmul.allow_tf32 = products
        torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]
        torch.set_deterministic_debug_mode(strict)
        _allocate(_MMAPS, _TRIMMED)


def _set_up_process(threads: int) -> None:
    torch.set_num_threads(threads)
    # As use_deterministic_algorithms(True), which imports the compiler besides: a second of every job.
    torch.set_deterministic_debug_mode("error")
    # Without it PyTorch 2.9 refuses products of matrices on CUDA in this mode.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Costs a write of every activation and changes nothing.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    # By default every large activation is mapped, faulted in and unmapped on every pass.
    _allocate(0, 2**31 - 1)


def _allocate(mmaps: int, trimmed: int) -> None:
    """Tell glibc how many blocks may be mapped, and from how many free bytes memory is given back."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_MMAP_MAX, mmaps)
        libc.mallopt(_M_TRIM_THRESHOLD, trimmed)


def device(name: str) -> str:
    """The device to use for a configured name.

    Raises:
        EpsballError: the device that was asked for is not there.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(kind for kind in ("cuda", "mps", "cpu") if present[kind])
    if not present[name]:
        raise EpsballError(f"configuration: device is {name}, which this machine does not have; use auto or cpu")
    return name


def inputs(pictures: Pictures) -> Tensor:
    """Pictures as networks take them.

    Args:
        pictures: (..., height, width, 3), uint8 or float32 in [0, 1].

    Returns:
        float32 (..., 3, height, width) in [0, 1].
    """
    writable = np.require(pictures, requirements="W")  # which PyTorch wants, and those from Pillow are not
    images = torch.from_numpy(writable).movedim(-1, -3)
    return images.float() / 255 if images.dtype == torch.uint8 else images


@runtime_checkable
class Refittable(Protocol):
    """What is another network around each sample; its state dict says which, in tensors of one shape."""

    def refit_at(self, image: Tensor, label: int) -> None:
        """Be the one around this image, float32 (3, height, width), from here on."""
        ...


class Forward:
    """A network on a device, fed with batches of one size.

    Args:
        network: to run, from images to logits and features: `epsball.networks.model.Network`, or a control of one.
        compute: how.
    """

    def __init__(self, network: nn.Module, compute: Compute) -> None:
        self.device = device(compute.device)
        if self.device == "cuda" and _alone.get():
            torch.cuda.set_device(own_gpu())
        self.size = compute.batch  # images in a pass; smaller once that many did not fit into memory
        # By cuDNN in full float32, the plain layout is up to a fifth faster (H100).
        self.layout = torch.contiguous_format if self.device == "cuda" else torch.channels_last
        self._network = network.to(self.device).to(memory_format=self.layout)
        self._run: Callable[[Tensor], tuple[Tensor, Tensor]] = self._network
        self._what = "forward pass"
        # What is compiled has the weights for constants; a control's are others around each sample.
        if compute.compile and self.device == "cpu" and not isinstance(network, Refittable):
            from torch._inductor import config  # a second of every job

            torch.use_deterministic_algorithms(True)  # this tells the compiler
            # Around each pass, not an option of compile, which what traces the network does not see.
            self._run = config.patch(freezing=True)(torch.compile(self._network, dynamic=False))
            logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # that there is no GPU is known
            self._what += ", which 'compile: true' compiles by a C++ compiler,"
        self._float64: nn.Module | None = None
        self._float64_size = compute.batch
        self._float64_device = "cpu" if self.device == "mps" else self.device

    def refit_at(self, image: Tensor, label: int) -> None:
        """Tell a control that is another around each sample which one comes; a network does not ask.

        Args:
            image: float32 (3, height, width), on the device.
            label: its class.
        """
        if isinstance(self._network, Refittable):
            self._network.refit_at(image, label)
            if self._float64 is not None:
                # Not copied anew: modules with hooks are in cycles, and old copies would pile up.
                with torch.inference_mode():
                    self._float64.load_state_dict(self._network.state_dict())

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n, classes) and features (n, units), float32 on the CPU; see `start`."""
        return self.start(images)()

    @torch.inference_mode()
    def start(self, images: Tensor) -> Passed:
        """Start a pass; the device goes on with what is started next while the CPU does something else.

        A short batch is filled up with copies of its last image: the size of a batch can change float rounding. One
        that does not fit into memory is passed in smaller ones, and so are all after it; `size` and the log say so.

        Args:
            images: float32 (n, 3, height, width) in [0, 1].

        Returns:
            What waits for the logits (n, classes) and features (n, units), and gives them in float32 on the CPU.

        Raises:
            EpsballError: one image alone does not fit, or the network's own code fails; and once they are waited for,
                logits are not finite.
        """
        logits, features, self.size = _in_parts(self._filled, images, self.size, self._what)
        arrived = _sent(logits, features)

        def passed() -> tuple[Tensor, Tensor]:
            logits, features = arrived()
            if not logits.isfinite().all():
                raise EpsballError("the network's logits are not finite; check its weights and normalisation")
            return logits, features

        return passed

    def _filled(self, images: Tensor, size: int) -> tuple[Tensor, Tensor]:
        count = len(images)
        if count < size:
            images = torch.cat([images, images[-1:].expand(size - count, -1, -1, -1)])
        # Copied always: made here, in inference mode, or it is of another kind, for which a network is compiled again.
        logits, features = self._run(images.to(self.device, memory_format=self.layout, copy=True))
        return logits[:count], features[:count]

    def float64(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and features computed in float64; see `start_float64`."""
        return self.start_float64(images)()

    @torch.inference_mode()
    def start_float64(self, images: Tensor) -> Passed:
        """Start a pass in float64, for the noise floor; on the CPU where the device has none.

        Returns:
            What waits for logits and features, and gives them in float64 on the CPU.

        Raises:
            EpsballError: one image alone does not fit, or the network's own code fails.
        """
        if self._float64 is None:
            # Plain layout: CPU convolutions in float64 are more than twice as fast in it.
            self._float64 = copy.deepcopy(self._network).to(self._float64_device, torch.float64)
            self._float64 = self._float64.to(memory_format=torch.contiguous_format)
        what = "forward pass in float64, for the noise floor,"
        logits, features, self._float64_size = _in_parts(self._wide, images, self._float64_size, what)
        return _sent(logits, features)

    def _wide(self, images: Tensor, size: int) -> tuple[Tensor, Tensor]:
        assert self._float64 is not None
        logits, features = self._float64(images.to(self._float64_device, torch.float64).contiguous())
        return logits, features


def _sent(logits: Tensor, features: Tensor) -> Passed:
    """Send them to the CPU; what waits until they are there."""
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


def _in_parts(
    run: Callable[[Tensor, int], tuple[Tensor, Tensor]], images: Tensor, size: int, what: str
) -> tuple[Tensor, Tensor, int]:
    """Pass images, `size` at a time or as many as fit into memory; logits, features, and how many that was."""
    while True:
        try:
            passed = [run(part, size) for part in torch.split(images, size)]
            return torch.cat([logits for logits, _ in passed]), torch.cat([features for _, features in passed]), size
        except EpsballError:
            raise
        except Exception as error:  # a user's network can raise any
            words = textwrap.shorten(str(error), 300)
            if not _out_of_memory(error):
                raise EpsballError(f"the network's {what} fails: {type(error).__name__}: {words}") from error
            if size == 1:
                raise EpsballError(f"memory does not suffice for one image: {words}") from None
            size = -(-size // 2)
            _log.warning("out of memory; going on with passes of %d images: scores may round otherwise", size)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _out_of_memory(error: Exception) -> bool:
    """Whether memory ran out: CUDA has an exception of its own, MPS and the CPU's allocator have sentences."""
    sentences = ("out of memory", "can't allocate memory")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(said in str(error) for said in sentences)
