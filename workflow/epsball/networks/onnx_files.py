"""Networks in ONNX files, as PyTorch modules: `onnx:<file>`. Needs the package onnx2torch."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

from epsball.config import NetworkSpec
from epsball.errors import EpsballError
from epsball.networks import sources
from epsball.networks.file_contents import require_content
from epsball.networks.graphs import FromGraph
from epsball.networks.layers import normalise
from epsball.networks.original import TOLERANCE

TERMS = "yours"
PACKAGES = ("onnx2torch",)
READS_FILES = True

_OPSET = 17  # the newest of which onnx2torch converts most operations
_SIDE = 224  # pixels of the images that both are compared on, where the file takes any

_log = logging.getLogger(__name__)


def build(spec: NetworkSpec, pretrained: bool) -> nn.Module:
    """See `epsball.networks.model.build`. Arguments `mean`, `std`: normalisation, unless it is in the file.

    The weights are always those of the file.
    """
    path = sources.require_file(spec)
    require_content(path, f"factory's file '{path}'")
    sources.import_package("onnx2torch")
    try:
        module, size = _converted(path)
    except NotImplementedError as error:
        raise EpsballError(
            f"factory '{spec.factory}' has an operation that onnx2torch does not convert: {error}; export it with "
            f"opset_version={_OPSET}, or give the network in PyTorch's form, by a factory of your own"
        ) from None
    except Exception as error:  # protobuf, onnx and onnx2torch have their own
        raise EpsballError(
            f"factory '{spec.factory}' cannot be read as ONNX: {' '.join(str(error).split())[:200]}"
        ) from None
    if pretrained and (off := _how_far(path, module)) > TOLERANCE:
        raise EpsballError(
            f"factory '{spec.factory}': onnx2torch makes another network of it, whose outputs differ by {off:.2g} of "
            f"the largest; export it with opset_version={_OPSET}, or give the network by its Python code, as a factory"
        )
    mean, std = sources.mean_and_std(spec)
    return normalise(_OfSize(module, f"factory '{spec.factory}'", size), mean, std)


class _OfSize(FromGraph):
    """A network whose code may have the size of its images, where the file says one, as a constant."""

    def __init__(self, module: fx.GraphModule, name: str, size: tuple[int, ...]) -> None:
        super().__init__(module)
        self._name, self._size = name, size

    def forward(self, images: Tensor) -> Any:
        """Run the code on images (n, 3, height, width).

        Raises:
            EpsballError: the file is for images of another size.
        """
        given = tuple(images.shape[2:])
        if any(one not in (0, other) for one, other in zip(self._size, given, strict=False)):
            height, width = (str(side or "any") for side in self._size)
            raise EpsballError(
                f"{self._name} was exported for images of {width} × {height} pixels, and the dataset's have "
                f"{given[1]} × {given[0]}; set resize and crop, or export it with dynamic height and width"
            )
        return super().forward(images)


def _how_far(path: Path, module: fx.GraphModule) -> float:
    """Return how far a converted network's output for one batch is from the standard's own evaluator, relative.

    0 if that cannot do the file, as where it holds operations beyond the standard.
    """
    import onnx
    from onnx.reference import ReferenceEvaluator

    read: Any = onnx.load(path)
    images = _images(read)
    declared = [side.dim_value for side in images.type.tensor_type.shape.dim]
    shape = [side or default for side, default in zip(declared, (1, 3, _SIDE, _SIDE), strict=True)]
    batch = torch.rand(*shape, generator=torch.Generator().manual_seed(0))
    try:
        [expected] = ReferenceEvaluator(read).run([read.graph.output[0].name], {images.name: batch.numpy()})
        with torch.no_grad():
            found = module.eval()(batch)
    except Exception as error:  # a file can hold anything
        _log.info("%s: its conversion is not compared with ONNX's evaluator: %s", path, error)
        return 0.0
    found = found if isinstance(found, Tensor) else next(iter(found))
    wanted = torch.as_tensor(expected)
    return float((found - wanted).abs().max() / wanted.abs().max())


def _images(read: Any) -> Any:
    """Return a file's entry for its images."""
    stored = {tensor.name for tensor in read.graph.initializer}  # which old files have among the inputs
    return next(entry for entry in read.graph.input if entry.name not in stored)


def _converted(path: Path) -> tuple[fx.GraphModule, tuple[int, ...]]:
    """Return a file's network, and the height and width of its images: 0 is any."""
    import onnx
    import onnx2torch

    read: Any = onnx.load(path)
    try:
        module: fx.GraphModule = onnx2torch.convert(read)
    except NotImplementedError:  # it knows few of the newer forms of operations
        module = onnx2torch.convert(onnx.version_converter.convert_version(read, _OPSET))
    return module, tuple(side.dim_value for side in _images(read).type.tensor_type.shape.dim[2:4])
