"""Networks in ONNX files, as PyTorch modules: `onnx:<file>`. Needs the package onnx2torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, fx, nn

from epsball.config import NetworkSpec
from epsball.errors import EpsballError
from epsball.networks import sources
from epsball.networks.file_contents import require_content
from epsball.networks.graphs import FromGraph
from epsball.networks.layers import normalise

TERMS = "yours"
PACKAGES = ("onnx2torch",)
READS_FILES = True

_OPSET = 17  # the newest of which onnx2torch converts most operations


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


def _converted(path: Path) -> tuple[fx.GraphModule, tuple[int, ...]]:
    """Return a file's network, and the height and width of its images: 0 is any."""
    import onnx
    import onnx2torch

    read: Any = onnx.load(path)
    try:
        module: fx.GraphModule = onnx2torch.convert(read)
    except NotImplementedError:  # it knows few of the newer forms of operations
        module = onnx2torch.convert(onnx.version_converter.convert_version(read, _OPSET))
    stored = {tensor.name for tensor in read.graph.initializer}  # which old files have among the inputs
    images = next(entry for entry in read.graph.input if entry.name not in stored)
    return module, tuple(side.dim_value for side in images.type.tensor_type.shape.dim[2:4])
