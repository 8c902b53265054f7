"""What is measured is a fixed function of one image, or the run stops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from epsball.config import NetworkSpec
from epsball.errors import EpsballError
from epsball.networks import weights
from epsball.networks.consistency import Reference, require_function, rounds_images
from epsball.networks.forward import Forward
from epsball.networks.model import Network, open_network, probe_shape, restore
from epsball.stages.survey import survey
from support.toys import COMPUTE, SIZE, Stages, conv_net
from torch import Tensor, nn
from torch.nn import functional

IMAGE = torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


class Around(nn.Module):
    """A network with a step before it."""

    def __init__(self) -> None:
        super().__init__()
        self.net = conv_net()
        self.passes = 0

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(self.step(x))
        return logits

    def step(self, x: Tensor) -> Tensor:
        return x


class Dropout(Around):
    def step(self, x: Tensor) -> Tensor:
        return functional.dropout(x, 0.01)


class NumpyNoise(Around):
    def step(self, x: Tensor) -> Tensor:
        return x + 0.01 * torch.from_numpy(np.random.default_rng().random(x.shape)).to(x)


class Counter(Around):
    def step(self, x: Tensor) -> Tensor:
        self.passes += 1
        return x * (1 + 0.01 * self.passes)


class BatchStatistics(Around):
    def step(self, x: Tensor) -> Tensor:
        return functional.batch_norm(x, None, None, training=True)


class Ranked(Around):
    """An image's rank in its batch: nothing of normalisation."""

    def step(self, x: Tensor) -> Tensor:
        return x + x.mean((1, 2, 3)).argsort().argsort()[:, None, None, None]


class ToldByTheLargest(Around):
    """Takes images for levels of 0 to 255 if one pixel of the batch exceeds 1."""

    def step(self, x: Tensor) -> Tensor:
        return x / 255 if x.max() > 1 else x


class Strided(Around):
    """Reads a batch as if its channels were outermost."""

    def step(self, x: Tensor) -> Tensor:
        return x.as_strided(x.shape, torch.empty(x.shape).stride())


CASES = [
    (Dropout, "from pass to pass .*: it draws random numbers; a likely cause is dropout that is left on"),
    (NumpyNoise, "from pass to pass .*: it changes with each pass; .* NumPy's random numbers"),
    (Counter, "from pass to pass .*: it changes with each pass; a likely cause is state that it keeps"),
    (BatchStatistics, "depend on the other images of its batch .* by the statistics of the batch"),
    (Ranked, "depend on the other images of its batch"),
    (ToldByTheLargest, r"depend on whether another image of its batch has values beyond \[0, 1\]"),
]


@pytest.mark.parametrize(("module", "sentence"), CASES)
def test_networks_that_are_no_fixed_function_are_refused(module: type[Around], sentence: str, stages: Stages) -> None:
    with pytest.raises(EpsballError, match=sentence):
        probe_shape(Network(module().eval()), IMAGE)
    with pytest.raises(EpsballError, match=sentence):
        survey(Forward(Network(module().eval()), COMPUTE), stages.pool, COMPUTE.batch, "net")


class SetByTheFirst(Around):
    """Normalises by the statistics of the first batch, as ActNorm does."""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.zeros(()))

    def step(self, x: Tensor) -> Tensor:
        if not self.scale:
            self.scale = x.std()
        return x / self.scale


class SetByTheLargest(SetByTheFirst):
    """Divides by a running maximum, as observers for quantisation do."""

    def step(self, x: Tensor) -> Tensor:
        self.scale = torch.maximum(self.scale, x.abs().max())
        return x / self.scale


class MadeAtFirst(SetByTheFirst):
    """Makes something at the first pass that no image decides."""

    def step(self, x: Tensor) -> Tensor:
        if not self.scale:
            self.scale = torch.tensor(2.0)
        return x / self.scale


class InRangeAlone(Around):
    """Takes no image beyond [0, 1], as none is in a run that clips."""

    def step(self, x: Tensor) -> Tensor:
        assert x.min() >= 0
        assert x.max() <= 1
        return x


def test_another_way_for_large_batches_is_refused(stages: Stages) -> None:
    class Cheaper(Around):
        def step(self, x: Tensor) -> Tensor:
            return x.round() if len(x) > 8 else x

    network = Network(Cheaper().eval())
    probe_shape(network, IMAGE)
    survey(Forward(network, replace(COMPUTE, batch=8)), stages.pool, 8, "net")
    with pytest.raises(EpsballError, match="depend on how many images a batch has .* set batch below that"):
        survey(Forward(network, replace(COMPUTE, batch=16)), stages.pool, 16, "net")


def test_a_network_that_counts_on_a_layout_is_refused() -> None:
    with pytest.raises(EpsballError, match="depend on how a batch lies in memory"):
        probe_shape(Network(Strided().eval()), IMAGE)


@pytest.mark.parametrize("module", [SetByTheFirst, SetByTheLargest])
def test_networks_that_keep_what_an_image_sets_are_refused(module: type[Around]) -> None:
    with pytest.raises(EpsballError, match="depend on the images that were passed before it"):
        probe_shape(Network(module().eval()), IMAGE)


@pytest.mark.parametrize("module", [MadeAtFirst, InRangeAlone])
def test_what_no_image_decides_and_images_in_range_are_no_fault(module: type[Around]) -> None:
    assert probe_shape(Network(module().eval()), IMAGE)[0] == 3


class SideBranch(Around):
    """Features that no logit depends on."""

    def __init__(self) -> None:
        super().__init__()
        self.side = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        self.side(functional.dropout(x.flatten(1)))
        logits: Tensor = self.net(x)
        return logits


class Masked(BatchStatistics):
    """One class is left out by a huge number."""

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = super().forward(x)
        return torch.cat([logits, torch.full((len(x), 4), -1e9)], 1)


def test_features_count_and_a_masked_class_hides_nothing() -> None:
    with pytest.raises(EpsballError, match="the same image has different features from pass to pass"):
        probe_shape(Network(SideBranch().eval(), "side"), IMAGE)
    with pytest.raises(EpsballError, match="scores of an image depend on the other images of its batch"):
        probe_shape(Network(Masked().eval(), "net.5"), IMAGE)


class NotFinite(Around):
    def __init__(self) -> None:
        super().__init__()
        self.side = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        self.side(x.flatten(1).log())
        logits: Tensor = self.net(x)
        return logits


def test_features_that_are_not_finite_are_refused() -> None:
    with pytest.raises(EpsballError, match="its features, the output of side, are not finite"):
        probe_shape(Network(NotFinite().eval(), "side"), IMAGE - 1)


def test_a_network_that_is_another_in_the_next_process_is_refused(tmp_path: Path) -> None:
    """Also where it is so sure that its scores are all 1."""
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\nnn.built = getattr(nn, 'built', 0)\n\n\nclass Net(nn.Sequential):\n"
        "    def __init__(self):\n        super().__init__(nn.Flatten(), nn.Linear(12, 3))\n"
        "        nn.built += 1\n        self.gain = 1000 * 1.05**nn.built\n\n"
        "    def forward(self, x):\n        return super().forward(x * self.gain)\n"
    )
    spec = NetworkSpec("one", "d", f"{tmp_path}/net.py:Net")
    for factory, refused in ((spec, True), (replace(spec, factory="torchvision:resnet18"), False)):
        network = open_network(factory, pretrained=False)
        path = tmp_path / factory.factory[:5] / "weights.safetensors"
        path.parent.mkdir(exist_ok=True)
        kept = Reference.of(network.logits, (2, 2) if refused else (32, 32))
        weights.save(network.module, path, reference=kept)
        if refused:
            with pytest.raises(EpsballError, match="networks.one: the same image has other scores in another process"):
                restore(factory, path)
        else:
            restore(factory, path)


def test_half_precision_is_a_fixed_function() -> None:
    assert probe_shape(Network(conv_net().half().eval()), IMAGE)[0] == 3


class Half(Around):
    """Rounds its images as half precision does."""

    def step(self, x: Tensor) -> Tensor:
        return x.half().float()


class Levels(Around):
    """Turns its images into bytes."""

    def step(self, x: Tensor) -> Tensor:
        return (x * 255).byte().float() / 255


class Doubles(Around):
    """Loses nothing."""

    def step(self, x: Tensor) -> Tensor:
        return (x.double() * 2).float() / 2


class Constant(Around):
    """Sees nothing."""

    def step(self, x: Tensor) -> Tensor:
        return 0 * x


@pytest.mark.parametrize(
    ("module", "rounds"),
    [
        (conv_net(), ""),
        (Doubles(), ""),
        (Constant(), ""),
        (Half(), "float16"),
        (conv_net().half(), "float16"),
        (conv_net().bfloat16(), "bfloat16"),
        (Levels(), "256 levels, cut"),
    ],
    ids=["plain", "doubles", "constant", "half", "half weights", "bfloat16 weights", "bytes"],
)
def test_a_network_that_rounds_its_images_is_found(module: nn.Module, rounds: str) -> None:
    images = torch.randint(256, (3, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(1)) / 255
    assert rounds_images(Forward(Network(module.eval()), COMPUTE), images) == rounds


class NotFiniteNear(NotFinite):
    """Features that are finite for the image which is looked at first, and for no other."""

    def forward(self, x: Tensor) -> Tensor:
        self.side(torch.where((x - IMAGE).abs().amax((1, 2, 3), keepdim=True) < 1e-6, x, torch.nan).flatten(1))
        logits: Tensor = self.net(x)
        return logits


@pytest.mark.fault("features that are not finite, with logits that are", "a sentence, and no claims")
def test_features_of_other_images_count() -> None:
    network = Network(NotFiniteNear().eval(), "side")
    with pytest.raises(EpsballError, match="the features of some images are not finite"):
        require_function(network, torch.stack([IMAGE, IMAGE.flip(-1)]))
