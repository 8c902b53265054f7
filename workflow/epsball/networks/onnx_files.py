"""Networks in ONNX files, as PyTorch modules: `onnx:<file>`. Needs the package onnx2torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from epsball.config import NetworkSpec
from epsball.errors import EpsballError
from epsball.networks import sources
from epsball.networks.layers import normalise

TERMS = "yours"
READS_FILES = True

_OPSET = 17  # the newest of which onnx2torch converts most operations


def build(spec: NetworkSpec, pretrained: bool) -> nn.Module:
    """See `epsball.networks.model.build`. Arguments `mean`, `std`: normalisation, unless it is in the file.

    The weights are always those of the file.
    """
    path = sources.require_file(spec)
    sources.import_package("onnx2torch")
    try:
        module = _converted(path)
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
    return normalise(module, mean, std)


def _converted(path: Path) -> nn.Module:
    import onnx
    import onnx2torch

    read: Any = onnx.load(path)
    try:
        module: nn.Module = onnx2torch.convert(read)
    except NotImplementedError:  # it knows few of the newer forms of operations
        module = onnx2torch.convert(onnx.version_converter.convert_version(read, _OPSET))
    return module
