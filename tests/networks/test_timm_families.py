"""Of every family of timm, features are what timm's own head takes for logits, or the layer is asked for."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
import torch
from epsball.errors import EpsballError
from epsball.networks import layers
from epsball.networks.model import Network
from torch import Tensor

timm = pytest.importorskip("timm", reason="needs timm")

MINUTES = 4  # as many families as fit, others each day
MEGABYTES = 250  # of parameters; larger ones are of families with smaller ones, too

FAMILIES = sorted({name.rpartition(".")[2] for name in timm.list_modules()})


def smallest(family: str) -> str:
    """The name of a family's model that says it is small, or the shortest."""
    said = ("test", "atto", "femto", "pico", "nano", "xxs", "tiny", "small", "mini", "lite")
    names: list[str] = timm.list_models(module=family)
    return min(names, key=lambda name: (not any(word in name for word in said), len(name), name))


def pre_logits(module: Any, image: Tensor) -> Tensor | None:
    """What timm's own head has before the classifier; None where it has no such function, or several tensors."""
    try:
        found = module.forward_head(module.forward_features(image), pre_logits=True)
    except (AttributeError, TypeError):
        return None
    return found.flatten(1) if isinstance(found, Tensor) else None


@pytest.mark.long
@torch.inference_mode()
def test_features_of_timms_families() -> None:
    random.Random(time.strftime("%j")).shuffle(FAMILIES)
    end, right, asked, other = time.monotonic() + 60 * MINUTES, [], [], []
    for family in FAMILIES:
        if time.monotonic() > end:
            break
        name = smallest(family)
        with torch.device("meta"):
            size = 4e-6 * sum(part.numel() for part in timm.create_model(name).parameters())
        if size > MEGABYTES:
            continue
        module = timm.create_model(name).eval()
        image = torch.rand(1, *module.pretrained_cfg["input_size"])
        network = Network(layers.normalise(module, [0.5] * 3, [0.5] * 3))
        try:
            logits, features = network(image)
        except EpsballError as error:
            assert "set its key layer" in str(error), name
            asked.append(name)
            continue
        expected = pre_logits(module, (image - 0.5) / 0.5)
        if expected is not None and expected.shape == features.shape and torch.allclose(features, expected, 1e-4, 1e-5):
            right.append(name)
            continue
        # Some of timm's heads have a step, such as a normalisation, between what they call so and the classifier.
        classifier = module.get_submodule(str(network.classifier))
        again = classifier(features.view(1, -1, 1, 1) if isinstance(classifier, torch.nn.Conv2d) else features)
        torch.testing.assert_close(again.flatten(1), logits, rtol=1e-4, atol=1e-5, msg=name)
        other.append(name)
    print(f"as timm's head: {right}\nby the classifier alone: {other}\nasked for: {asked}")
    assert len(right) > len(asked)
