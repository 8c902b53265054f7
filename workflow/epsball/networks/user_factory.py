"""Networks of the user's own: a factory in a file or a package."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from epsball import user_code
from epsball.config import NetworkSpec
from epsball.errors import EpsballError
from epsball.networks.sources import SOURCES

TERMS = "yours"
PACKAGES = ("timm", "torchvision", "transformers")  # whatever it imports of these


def build(spec: NetworkSpec, pretrained: bool) -> nn.Module:
    """See `epsball.networks.model.build`. The factory gets `args`, and `weights` where the configuration has them."""

    def arguments(function: Callable[..., Any]) -> Mapping[str, Any]:
        if isinstance(function, nn.Module):
            raise EpsballError(
                f"factory '{spec.factory}' is a module, not a function; write def make(): return …, and name that"
            )
        if spec.weights is None:
            return spec.args
        if not Path(spec.weights).is_file():
            raise EpsballError(
                f"weights '{spec.weights}' do not exist; expected a file; paths are from the folder that the "
                "command runs in"
            )
        return {**spec.args, "weights": spec.weights}

    try:
        network = user_code.call(spec.factory, arguments, SOURCES)
    except EpsballError as error:
        if isinstance(error.__cause__, pickle.UnpicklingError):
            raise EpsballError(
                f"factory '{spec.factory}' fails: weights '{spec.weights}' hold no plain arrays, which is all that "
                "weights_only=True loads; save them with torch.save(module.state_dict(), path)"
            ) from error
        raise
    if inspect.iscoroutine(network):
        network.close()
    if not isinstance(network, nn.Module):
        raise EpsballError(f"factory '{spec.factory}' returned {type(network).__name__}, expected a torch.nn.Module")
    return network
