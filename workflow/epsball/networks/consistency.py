"""Check that a network is a fixed function of one image, without which nothing that is measured means anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from epsball.errors import EpsballError

Function = Callable[[Tensor], tuple[Tensor, Tensor]]

# Relative. Passes that are compared have one size, so that even half precision rounds alike in them.
_TOLERANCE = 1e-4
_BETWEEN_SIZES = 0.02
_BETWEEN_PROCESSES = 1e-3  # whose devices or processors may differ

OUTPUTS = ("scores", "features")
_DRAWN = (
    "a likely cause are attributes that are drawn at random when the network is built: register them as buffers, so "
    "that they are kept with its weights"
)


@torch.no_grad()
def require_function(network: Function, images: Tensor) -> None:
    """Check that an image has the same logits and features each time, among copies of itself and among others.

    Args:
        network: function from images to logits and features.
        images: (n, 3, height, width) in [0, 1].

    Raises:
        EpsballError: it has not; the message names the likely cause.
    """
    batch = torch.cat([images[:2], (1 - images[:1]) / 2])  # of other mean and variance
    first, again = network(batch), network(batch)
    for what, one, other in zip(OUTPUTS, first, again, strict=True):
        if not one.isfinite().all():  # of images near the one that was looked at first
            raise EpsballError(f"the {what} of some images are not finite; check its weights, or set its key layer")
        if how_far := differ(one, other, scale_of(what, one)):
            raise EpsballError(
                f"the same image has different {what} from pass to pass ({how_far}): {_why_changing(network, batch)}"
            )
    copies = [network(image.expand_as(batch)) for image in batch]
    alone = tuple(torch.cat([outputs[place][:1] for outputs in copies]) for place in range(len(OUTPUTS)))
    _require_same(first, alone, f"the other images of its batch ({{}}); {_STATISTICS}")
    further = _passed(network, torch.cat([batch, beyond(images[:1])]))
    require_unmoved(first, network(batch))
    if further is not None:
        among = tuple(part[: len(batch)] for part in further)
        _require_same(first, among, f"whether another image of its batch has values beyond [0, 1] ({{}}); {_RANGE}")


_STATISTICS = (
    "a likely cause is batch normalisation by the statistics of the batch (training=True, or "
    "track_running_stats=False): use running statistics"
)
_RANGE = (
    "a likely cause is code that tells the scale of pixels by the largest (x.max() > 1), and perturbed images exceed "
    "1: leave it out, images are in [0, 1]"
)
_SET = (
    "likely causes are a scale or a range that the first or the largest image sets, as of ActNorm or of observers for "
    "quantisation: set it in training alone"
)
_SIZE = "a likely cause is code that takes another way for large batches: leave it out, or set batch below that"
_STRIDES = "likely causes are as_strided and kernels of its own that count on one layout: call x.contiguous() first"


def beyond(images: Tensor) -> Tensor:
    """Return images (n, 3, height, width) that reach further than [0, 1] on both sides, as perturbed ones do."""
    return images + torch.linspace(2, -2, images.shape[-1]).to(images)


def require_unmoved(first: tuple[Tensor, ...], later: tuple[Tensor, ...]) -> None:
    """Check that outputs of the same images are the same before and after a pass of others.

    Raises:
        EpsballError: they are not.
    """
    _require_same(first, later, f"the images that were passed before it ({{}}); {_SET}")


def require_any_size(few: tuple[Tensor, ...], among_many: tuple[Tensor, ...]) -> None:
    """Check that outputs of the same images are those in a full batch, as far as half precision can tell.

    Raises:
        EpsballError: they are not.
    """
    _require_same(few, among_many, f"how many images a batch has ({{}}); {_SIZE}", _BETWEEN_SIZES)


@torch.no_grad()
def require_any_layout(network: Function, images: Tensor) -> None:
    """Check that a batch has the same outputs however it lies in memory.

    Raises:
        EpsballError: it has not.
    """
    outermost, innermost = (
        network(images.contiguous(memory_format=layout)) for layout in (torch.contiguous_format, torch.channels_last)
    )
    _require_same(outermost, innermost, f"how a batch lies in memory ({{}}); {_STRIDES}")


def _passed(network: Function, images: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return outputs; None if there are none beyond [0, 1]: runs that clip have no such image."""
    try:
        outputs = network(images)
    except Exception:  # a user's network can raise anything
        return None
    return outputs if all(part.isfinite().all() for part in outputs) else None


def _require_same(one: tuple[Tensor, ...], other: tuple[Tensor, ...], on: str, tolerance: float = _TOLERANCE) -> None:
    for what, first, second in zip(OUTPUTS, one, other, strict=True):
        if how_far := differ(first, second, scale_of(what, first), tolerance):
            raise EpsballError(f"the {what} of an image depend on {on.format(how_far)}")


_ROUNDED: dict[str, Callable[[Tensor], Tensor]] = {
    "float16": lambda images: images.half().float(),
    "bfloat16": lambda images: images.bfloat16().float(),
    "256 levels": lambda images: (images * 255).round() / 255,
    "256 levels, cut": lambda images: (images * 255).floor() / 255,
}


@torch.no_grad()
def rounds_images(network: Function, images: Tensor) -> str:
    """Say to what numbers a network rounds its images, such as "float16"; nothing if it does not.

    A small perturbation is then lost in part or in whole, and what is measured of it is the rounding. An image between
    the numbers has, bit for bit, the outputs of the rounded one.

    Args:
        network: function from images to logits and features.
        images: (n, 3, height, width) in [0, 1].
    """
    noise = torch.rand(images.shape, generator=torch.Generator().manual_seed(0))
    between = (images + 0.02 * (noise - 0.5)).clamp(0, 1)
    outputs = network(between)
    if torch.equal(outputs[0], network(images)[0]):
        return ""  # a network that does not see so small a change at all
    for name, rounded in _ROUNDED.items():
        if all(map(torch.equal, outputs, network(rounded(between)))):
            return name
    return ""


def scale_of(what: str, outputs: Tensor) -> Tensor:
    """Return what rounding is relative to, (n, 1): no single class that is masked by a huge number decides it."""
    if what == "scores":
        return outputs.topk(min(2, outputs.shape[1])).values.abs().amax(dim=1, keepdim=True)
    return outputs.abs().mean(dim=1, keepdim=True)


def differ(one: Tensor, other: Tensor, scale: Tensor, tolerance: float = _TOLERANCE) -> str:
    """Say by how much outputs differ; nothing if that is rounding."""
    off = (one - other).abs()
    if bool((off <= tolerance * (scale + one.abs())).all()):
        return ""
    return f"they differ by up to {float(off.max()):.2g}"


def _why_changing(network: Function, batch: Tensor) -> str:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = network(batch)
        torch.manual_seed(0)
        random = all(map(torch.equal, first, network(batch)))
    if random:
        return (
            "it draws random numbers; a likely cause is dropout that is left on, F.dropout(x) without "
            "training=self.training"
        )
    return "it changes with each pass; a likely cause is state that it keeps, or NumPy's random numbers"


def require_repeated(logits: NDArray[np.float64]) -> None:
    """Check that all images of a batch, which are one image, have the same logit.

    Raises:
        EpsballError: they have not.
    """
    if (found := float(np.ptp(logits))) > _TOLERANCE * (1 + float(np.abs(logits).max())):
        raise EpsballError(
            f"the same image has different scores in one batch (logits differ by up to {found:.2g}); likely causes are "
            "dropout that is left on, F.dropout(x) without training=self.training, and layers that take only so many "
            "rows of a batch, such as experts"
        )


def require_surveyed(network: str, image: str, score: float, surveyed: float) -> None:
    """Check that an image has the score that it had in the survey, which another process made.

    Raises:
        EpsballError: it has another.
    """
    if abs(score - surveyed) > _BETWEEN_PROCESSES:
        raise EpsballError(
            f"networks.{network}: image '{image}' has the score {score:.6g}, but {surveyed:.6g} in the survey; {_DRAWN}"
        )


@dataclass(frozen=True)
class Reference:
    """Logits of one image, kept with a network's weights: what is restored from them has to have these.

    Attributes:
        size: height and width of the image, which is noise.
        logits: of each class.
    """

    size: tuple[int, int]
    logits: tuple[float, ...]

    @classmethod
    def of(cls, run: Callable[[Tensor], Tensor], size: tuple[int, int]) -> Self:
        """Pass the image through a network on the CPU, a function from images to logits."""
        return cls(size, tuple(run(_noise(size))[0].tolist()))

    def require(self, run: Callable[[Tensor], Tensor]) -> None:
        """Check that a network has these logits.

        Raises:
            EpsballError: it has others.
        """
        built, restored = torch.tensor([self.logits]), run(_noise(self.size)).float()
        if how_far := differ(restored, built, scale_of("scores", built), _BETWEEN_PROCESSES):
            raise EpsballError(
                f"the same image has other scores in another process ({how_far}): built again with the weights that it "
                f"had, the network is another function; {_DRAWN}"
            )


def _noise(size: tuple[int, int]) -> Tensor:
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
