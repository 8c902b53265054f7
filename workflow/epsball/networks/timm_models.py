"""Any network of timm by name, with its published weights: `timm:resnet50.a1_in1k`. Needs the package timm."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from torch import nn

from epsball.config import NetworkSpec
from epsball.errors import EpsballError
from epsball.networks import checkpoints, sources, state
from epsball.networks.layers import normalise

TERMS = "those of its model card; the code is Apache 2.0"
PACKAGES = ("timm", "torchvision")
LOADS_STATE = True


def _create(spec: NetworkSpec, pretrained: bool, **overlay: Any) -> Any:
    timm = sources.import_package("timm")
    name = spec.factory.split(":", 1)[1]
    if not timm.is_model(name):  # which knows names with a tag of the weights, too
        sources.model_name(spec, timm.list_models())
    try:
        return timm.create_model(
            name, pretrained=pretrained, pretrained_cfg_overlay=overlay or None, **sources.arguments(spec)
        )
    except (OSError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        message = " ".join(str(error).split())[:200]
        raise EpsballError(
            f"factory '{spec.factory}' fails: {message}; where there is no network, give a local file as weights"
        ) from None


def fetch(spec: NetworkSpec) -> Path | None:
    """See `epsball.networks.model.fetch`; timm keeps its files, and their digests, in the Hugging Face cache."""
    _create(spec, pretrained=True)
    return None


def build(spec: NetworkSpec, pretrained: bool) -> nn.Module:
    """See `epsball.networks.model.build`."""
    module: nn.Module = _create(spec, pretrained and spec.weights is None)
    if pretrained and spec.weights is not None:
        module = _with_file(spec, module)
    published: Any = module.pretrained_cfg
    return normalise(module, published["mean"], published["std"])


def _with_file(spec: NetworkSpec, module: nn.Module) -> nn.Module:
    """Return a network with the weights of its file, under timm's names or as timm converts those of other projects."""
    path = Path(str(spec.weights))
    if path.suffix in (".npz", ".npy"):  # JAX's, which some networks of timm read by a loader of their own
        made: nn.Module = _create(spec, True, file=str(path), custom_load=True, num_classes=module.num_classes)
        return made
    try:
        state.load_file(module, spec)
        return module
    except checkpoints.RefusedError:
        raise
    except EpsballError as error:
        if (converted := _converted(spec, module)) is None:
            raise error from None
        return converted


def _converted(spec: NetworkSpec, module: nn.Module) -> nn.Module | None:
    """Return a network with the weights of a file of another project, such as DeiT's; None if timm does not take it."""
    path = Path(str(spec.weights))
    held = checkpoints.read(path)
    if not isinstance(held, Mapping):
        return None
    keys = [key for key in ("model", "state_dict", "model_ema", "state_dict_ema") if held.get(key) is not None]
    key = spec.args.get("state_dict", keys[0] if keys else None)
    if len(keys) > 1 and "state_dict" not in spec.args:
        raise checkpoints.SeveralError(keys)
    lacks: list[str] = []
    log = logging.getLogger("timm.models._builder")  # which says what a loading that is not strict leaves as it was
    level = log.level

    def keep(record: logging.LogRecord) -> bool:
        lacks.extend([record.getMessage()] if record.getMessage().startswith("Missing keys") else [])
        return record.levelno >= logging.WARNING

    log.addFilter(keep)
    log.setLevel(logging.INFO)
    try:
        timm = sources.import_package("timm")
        cleaned = timm.models.clean_state_dict(held[key] if key else held)
        made: Any = _create(spec, True, state_dict=cleaned, num_classes=module.num_classes)
    except Exception:  # each network has its own code for this
        return None
    finally:
        log.setLevel(level)
        log.removeFilter(keep)
    if lacks:
        return None
    del made.pretrained_cfg["state_dict"]
    state.note(made, path, f"from '{key or 'the top'}', as timm converts files of other projects")
    return cast(nn.Module, made)
