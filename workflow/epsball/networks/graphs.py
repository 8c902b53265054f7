"""Networks that are graphs of operations, as converters make them."""

from __future__ import annotations

from typing import Any

from torch import Tensor, fx, nn

_NOT_COPIED = ("_graph", "meta")


class FromGraph(nn.Module):
    """Run the code of a graph module with its layers.

    PyTorch copies a graph module without its hooks and buffers, and so without normalisation; one of these, whole.
    """

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__()
        self.__dict__.update({name: value for name, value in vars(module).items() if name not in _NOT_COPIED})
        self._run: Any = type(module).forward

    def forward(self, images: Tensor) -> Any:
        """Run the code on images (n, 3, height, width)."""
        return self._run(self, images)
