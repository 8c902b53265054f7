"""Networks in TorchScript files: `torchscript:<file>`.

Modules inside TorchScript run no hooks, so there is no access to layers. The code is therefore converted to a graph of
PyTorch's operations, in which linear and convolution layers are modules under their old names.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import fx, nn

from epsball.config import NetworkSpec
from epsball.errors import EpsballError
from epsball.networks import sources
from epsball.networks.file_contents import require_content
from epsball.networks.layers import normalise
from epsball.networks.original import TOLERANCE, Converted, Original

TERMS = "yours"
READS_FILES = True


def build(spec: NetworkSpec, pretrained: bool) -> nn.Module:
    """See `epsball.networks.model.build`. The weights are always those of the file.

    Arguments `mean`, `std`: normalisation, unless it is in the file; `image_size`: side of the images in pixels, 224.
    """
    path = sources.require_file(spec)
    require_content(path, f"factory's file '{path}'")
    mean, std = sources.mean_and_std(spec, "image_size")
    size = sources.image_size(spec)
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    try:
        with warnings.catch_warnings(action="ignore"):  # that there will be no TorchScript one day
            scripted = torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise EpsballError(
            f"factory '{spec.factory}' cannot be read as TorchScript: {' '.join(str(error).split())[:200]}"
        ) from None
    try:
        with torch.no_grad():
            expected = scripted(images)
            module = _converted(scripted, images)
            same = all(
                torch.allclose(module(part), scripted(part), atol=TOLERANCE * float(expected.abs().max()))
                for part in (images, images[:1])
            )
    except Exception as error:  # the file can hold anything, and the converter is young
        raise EpsballError(
            f"factory '{spec.factory}' does not take images of {size} pixels (args.image_size), or PyTorch does not "
            f"convert its code: {' '.join(str(error).split())[:150]}; give the network by its Python code, as a factory"
        ) from None
    if not same:
        raise EpsballError(
            f"factory '{spec.factory}': its code depends on the images in ways that PyTorch does not convert; give the "
            "network by its Python code, as a factory"
        )
    return normalise(Converted(module, Original(scripted, f"factory '{spec.factory}'", size)), mean, std)


def _converted(scripted: Any, images: torch.Tensor) -> fx.GraphModule:
    from torch._export.converter import TS2EPConverter  # takes a second to import

    with warnings.catch_warnings(action="ignore"):
        exported: Any = TS2EPConverter(scripted, (images,)).convert().module()
    for node in list(exported.graph.nodes):
        if node.target == "_guards_fn":  # checks shapes
            exported.graph.erase_node(node)
        elif node.target is torch.ops.aten.view.default:  # fails on images whose channels are innermost in memory
            node.target = torch.ops.aten.reshape.default
        elif node.op == "call_function" and (made := _layer(exported, node)) is not None:
            name, layer = made
            exported.set_submodule(name, layer)
            node.op, node.target, node.args, node.kwargs = "call_module", name, node.args[:1], {}
    exported.graph.eliminate_dead_code()
    return fx.GraphModule(exported, exported.graph)


def _layer(exported: fx.GraphModule, node: Any) -> tuple[str, nn.Module] | None:
    """Return name and module for a call of a linear or convolution operation on parameters; None for all else."""
    aten = torch.ops.aten
    if node.target not in (aten.linear.default, aten.conv2d.default, aten.convolution.default):
        return None
    options: list[Any] = list(node.args[3:])  # stride, padding, dilation, groups
    if node.target is aten.convolution.default:  # as traced code has it
        transposed, groups = node.args[6], node.args[8]
        if transposed:
            return None
        options = [*options[:3], groups]
    sources_of = [part for part in node.args[1:3] if isinstance(part, fx.Node)]
    if not all(part.op == "get_attr" and str(part.target).endswith((".weight", ".bias")) for part in sources_of):
        return None
    name = str(sources_of[0].target).rpartition(".")[0]
    held: Any = exported.get_submodule(name)
    if set(held.state_dict()) != {str(part.target).rpartition(".")[2] for part in sources_of}:
        return None
    weight = nn.Parameter(held.weight.detach())
    layer: Any
    if node.target is aten.linear.default:
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    else:
        options += [1, 0, 1, 1][len(options) :]
        stride, padding, dilation, groups = options
        layer = nn.Conv2d(weight.shape[1] * groups, weight.shape[0], 1, stride, padding, dilation, groups, bias=False)
        layer.kernel_size = tuple(weight.shape[2:])
    layer.weight = weight
    if len(sources_of) == 2:
        layer.bias = nn.Parameter(held.bias.detach())
    return name, layer
