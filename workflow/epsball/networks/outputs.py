"""Logits in what a network returns: a tensor, or a structure that names them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import torch
from torch import Tensor

from epsball.errors import EpsballError

_TOLERANCE = 1e-2  # on the sum of probabilities, which may be in half precision
_SURE = 0.5  # which some of a sigmoid's outputs exceed, and logits that are all near 0 do not
_INDETERMINATE = "does not have a deterministic implementation"
NOT_FINITE = "the network's logits are not finite; check its weights and normalisation"
_BINARY = "stack them as two logits, torch.cat([torch.zeros_like(z), z], 1)"


def in_output(output: object) -> object:
    """Return what a network's output has as logits: under the key or attribute of that name, or all of it."""
    found = output["logits"] if isinstance(output, Mapping) and "logits" in output else output
    return getattr(found, "logits", found)


def logits_of(output: object) -> Tensor:
    """Return the logits (n, classes) in a network's output, in float32 at least.

    Args:
        output: a tensor; a mapping with the key "logits", or an object with that attribute, as in Transformers.

    Raises:
        EpsballError: there are none, or they are no matrix.
    """
    found = in_output(output)
    if not isinstance(found, Tensor) or found.ndim != 2 or not found.is_floating_point():
        raise EpsballError(f"the network's output is {describe(output)}, expected logits, a tensor (n, classes)")
    return widened(found)


def widened(tensor: Tensor) -> Tensor:
    """Return half precision as float32, and everything else as it is."""
    return tensor.float() if tensor.dtype in {torch.float16, torch.bfloat16} else tensor


def is_about_precision(error: RuntimeError) -> bool:
    """Return whether a pass failed because tensors of different precision met."""
    message = str(error)
    return any(text in message for text in ("dtype", "bias type", "weight type", "scalar type", "did not match"))


def describe(found: object) -> str:
    """Describe what was found in place of a tensor of another shape."""
    if isinstance(found, Tensor):
        return f"a tensor {tuple(found.shape)} of {str(found.dtype).removeprefix('torch.')}"
    if isinstance(found, Mapping):
        return f"a {type(found).__name__} with {', '.join(map(repr, found)) or 'no keys'}"
    return f"a {type(found).__name__}" + (f" of {len(found)}" if isinstance(found, list | tuple) else "")


def describe_failure(what: str, error: Exception) -> str:
    """Describe what a network's own code raises in a pass."""
    return f"the network's {what} fails: {reason(error)}"


def reason(error: Exception) -> str:
    """Return what a network's own code raises, and of what setting of ours that comes."""
    said = textwrap.shorten(str(error), 300)
    if _INDETERMINATE in said:
        operation = said.partition(_INDETERMINATE)[0].strip()
        return f"PyTorch has no deterministic form of {operation}, which a run needs; build the network without it"
    return f"{type(error).__name__}: {said}"


def require_logits(logits: Tensor) -> None:
    """Check that outputs of some images (n, classes) can be logits.

    Raises:
        EpsballError: they are not finite, there is one class, or they look like probabilities.
    """
    if not logits.isfinite().all():
        raise EpsballError(NOT_FINITE)
    if logits.shape[1] == 1:
        raise EpsballError(f"has 1 output, expected a logit for each class; {_BINARY}")
    if (logits >= 0).all() and ((logits.sum(dim=1) - 1).abs() < _TOLERANCE).all():
        raise EpsballError("its outputs look like probabilities, expected logits; leave out its last softmax")


def require_unbounded(logits: Tensor) -> None:
    """Check that the outputs of many images (n, classes) are not a sigmoid's; those of a few may look so by chance.

    Raises:
        EpsballError: they look so.
    """
    if ((logits >= 0) & (logits <= 1)).all() and logits.max() > _SURE:
        raise EpsballError(
            "its outputs all lie between 0 and 1, as a sigmoid's do, expected logits; leave out its last sigmoid"
        )
