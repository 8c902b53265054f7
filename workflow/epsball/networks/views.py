"""Let networks use `view` on images whose channels are the innermost dimension in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode


class ViewsAsReshapes(TorchFunctionMode):
    """While it lasts, `x.view(shape)` copies where it has to, as `x.reshape(shape)` does: the same values."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """See `torch.overrides`."""
        if func is Tensor.view and not kwargs and all(isinstance(size, int) for size in _sizes(args[1:])):
            func = Tensor.reshape
        return func(*args, **(kwargs or {}))


def _sizes(given: Sequence[Any]) -> Sequence[Any]:
    return given[0] if len(given) == 1 and isinstance(given[0], list | tuple) else given


def is_about_views(error: RuntimeError) -> bool:
    """Return whether a pass failed because of the layout in memory."""
    return "view size is not compatible" in str(error)
