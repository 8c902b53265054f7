"""The device that is chosen, and passes that do not fit into memory, really and pretended."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from epsball.errors import EpsballError
from epsball.networks.forward import Forward, device, inputs
from epsball.networks.model import Network
from support.toys import BALL, COMPUTE, SIZE, Stages, conv_net
from torch import Tensor, nn


class Small(nn.Module):
    """A network on a device that holds few images."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.net, self.room = conv_net(), room

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        logits: Tensor = self.net(x)
        return logits


@pytest.mark.slow
@pytest.mark.fault("too little memory for a pass", "smaller passes, which are recorded")
def test_smaller_passes_go_on_and_are_recorded(stages: Stages) -> None:
    whole = stages.extract(conv_net(), "uniform", stages.folder / "a.zarr.zip", BALL, COMPUTE).load()
    parts = stages.extract(Small(2), "uniform", stages.folder / "b.zarr.zip", BALL, COMPUTE).load()
    assert whole.attrs["images_in_a_pass"] == "5"
    assert parts.attrs["images_in_a_pass"] == "2"
    np.testing.assert_allclose(whole["logit"], parts["logit"], rtol=1e-5)
    np.testing.assert_allclose(whole["features"], parts["features"], rtol=1e-5, atol=1e-6)
    assert (whole["prediction"] == parts["prediction"]).all()


@pytest.mark.slow
def test_a_network_with_convolutions_in_three_dimensions(stages: Stages) -> None:
    class Volume(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = conv_net()
            self.volume = nn.Conv3d(1, 1, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.net(self.volume(x[:, None])[:, 0])
            return logits

    table = stages.run(Volume(), "isotropy", layer="net.5")
    assert (table.query("radius > 0")["range"] > 0).all()


def test_no_image_fits() -> None:
    with pytest.raises(EpsballError, match="memory does not suffice for one image: CUDA out of memory"):
        Forward(Network(Small(0)), COMPUTE)(torch.zeros(3, 3, 6, 6))


def test_other_errors_are_not_taken_for_it() -> None:
    with pytest.raises(EpsballError, match="the network's forward pass fails: RuntimeError: mat1 and mat2"):
        Forward(Network(conv_net()), COMPUTE)(torch.zeros(3, 3, 9, 9))


class Narrow(nn.Module):
    """A network that works in float32 alone."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, 3)
        self.weight = torch.ones(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.last(x.flatten(1) @ self.weight)
        return logits


class Narrowing(nn.Module):
    """A network that says float32 whatever it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x.flatten(1).float(), self.last.weight.float(), self.last.bias.float())


@pytest.mark.parametrize(("module", "layer"), [(Narrow(), None), (Narrowing(), "last")])
def test_a_network_that_cannot_do_float64_has_no_noise_floor(
    module: nn.Module, layer: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    network = Network(module) if layer is None else Network(nn.Sequential(nn.Identity(), module), "0")
    forward, images = Forward(network, COMPUTE), torch.zeros(3, 3, 2, 2)
    assert forward(images)[0].shape == (3, 3)
    for _ in range(2):
        logits, features = forward.float64(images)
        assert logits.shape == (3, 3)
        assert logits.isnan().all() and features.isnan().all()
    assert caplog.text.count("the noise floor is not available") == 1


@pytest.mark.filterwarnings("error")
def test_images_that_are_not_to_be_written() -> None:
    pictures = np.full((2, 4, 4, 3), 255, np.uint8)
    pictures.setflags(write=False)
    assert torch.equal(inputs(pictures), torch.ones(2, 3, 4, 4))


COMPILED = """
import sys
import torch
from support.toys import COMPUTE, conv_net
from dataclasses import replace
from epsball.networks.forward import Forward, configure
from epsball.networks.model import Network

compiled = replace(COMPUTE, compile=True)
configure(compiled)
images = torch.rand(7, 3, 6, 6, generator=torch.Generator().manual_seed(1))
for layer in (None, "0"):
    forward = Forward(Network(conv_net(), layer), compiled)
    logits, features = forward(images)
    with torch._dynamo.config.patch(error_on_recompile=True):
        assert torch.equal(forward(images.contiguous(memory_format=torch.channels_last))[0], logits)
    plain_logits, plain_features = Forward(Network(conv_net(), layer), COMPUTE)(images)
    torch.testing.assert_close(logits, plain_logits, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(features, plain_features, rtol=1e-5, atol=1e-6)
    print(logits.double().sum().item().hex(), features.double().sum().item().hex())

convolution, *rest = conv_net()
normalised = torch.nn.Sequential(convolution, torch.nn.BatchNorm2d(5), *rest).eval()
forward = Forward(Network(normalised), compiled)
logits, _ = forward(images)
with torch.no_grad():
    normalised[1].weight.zero_()
assert torch.equal(forward(images)[0], logits), "weights are not constants of what is compiled"
"""


def _compile(compiler: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "CXX": compiler}
    return subprocess.run(
        [sys.executable, "-c", COMPILED], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++ to compile with")
def test_compiled_passes_agree_and_are_the_same_in_every_process() -> None:
    one, other = _compile("g++"), _compile("g++")
    assert one.returncode == 0, one.stderr
    assert one.stdout == other.stdout
    assert len(one.stdout.split()) == 4


class Bright(nn.Module):
    """Logits and features that are twice the brightness of the sample, which a compiler would compute once."""

    brightness: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("brightness", torch.zeros(1, 1))

    def refit_at(self, image: Tensor, label: int) -> None:
        self.brightness.fill_(image.mean())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        out = (2 * self.brightness).expand(len(x), 1) + 0 * x.mean()
        return out, out


def test_a_control_is_never_compiled() -> None:
    forward = Forward(Bright(), replace(COMPUTE, compile=True))
    for brightness in (0.25, 0.75):
        forward.refit_at(torch.full((3, 6, 6), brightness), 0)
        assert forward(torch.zeros(2, 3, 6, 6))[0].tolist() == [[2 * brightness]] * 2


@pytest.mark.fault("a key for compiled passes, and no compiler", "a sentence")
@pytest.mark.slow
def test_no_compiler() -> None:
    done = _compile("no-such-compiler")
    assert done.returncode
    assert "the network's forward pass, which 'compile: true' compiles by a C++ compiler, fails: " in done.stderr


@pytest.mark.fault("logits that are {id}", "a sentence, and no store")
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_end_the_job_and_leave_no_store(stages: Stages, value: float) -> None:
    module = conv_net()
    last = module[-1]
    assert isinstance(last, nn.Linear)
    last.bias.data[1] = value
    with pytest.raises(EpsballError, match="logits are not finite; check its weights and normalisation"):
        stages.extract(module, "uniform", stages.folder / "a.zarr.zip", BALL, COMPUTE)
    assert not list(stages.folder.glob("*zarr*"))


LIMITED = """
import resource, torch
from torch import nn
from epsball.config import Compute
from epsball.networks.forward import Forward
from epsball.networks.model import Network

net = nn.Sequential(nn.Conv2d(3, 64, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 3))
forward = Forward(Network(net), Compute(batch=16, device="cpu"))
images = torch.rand(16, 3, 512, 512)
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
# A pass of 16 has 1 GB of activations.
resource.setrlimit(resource.RLIMIT_AS, (used + 700 * 2**20,) * 2)
logits, _ = forward(images)
print(forward.size, tuple(logits.shape))
"""


@pytest.mark.slow
@pytest.mark.fault("a process limited to 700 MB more than it has", "smaller passes")
@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limit of a process's memory")
def test_memory_that_really_runs_out() -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    size, shape = done.stdout.split(maxsplit=1)
    assert int(size) < 16
    assert shape.strip() == "(16, 3)"


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"),
    [(False, False, "cpu"), (False, True, "mps"), (True, False, "cuda"), (True, True, "cuda")],
)
def test_the_device_is_what_is_there(monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, chosen: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert device("auto") == chosen
    assert device("cpu") == "cpu"
    for name, present in (("cuda", cuda), ("mps", mps)):
        if present:
            assert device(name) == name
        else:
            with pytest.raises(
                EpsballError, match=f"device is {name}, which this machine does not have; use auto or cpu"
            ):
                device(name)


class Spectral(nn.Module):
    """Multiplies spectra by complex weights, or by pairs of real ones."""

    def __init__(self, paired: bool) -> None:
        super().__init__()
        weight = torch.randn(3, SIZE, SIZE // 2 + 1, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
        self.weight = nn.Parameter(torch.view_as_real(weight).clone() if paired else weight)
        torch.manual_seed(0)
        self.net = conv_net()

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight if self.weight.is_complex() else torch.view_as_complex(self.weight)
        logits: Tensor = self.net(torch.fft.irfft2(torch.fft.rfft2(x) * weight, s=x.shape[-2:]))
        return logits


@pytest.mark.parametrize("paired", [False, True])
def test_complex_weights_are_so_in_float64_too(paired: bool) -> None:
    images = torch.rand(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    module = Spectral(paired).eval().requires_grad_(False)
    weight = torch.view_as_complex(module.weight) if paired else module.weight
    changed = torch.fft.irfft2(torch.fft.rfft2(images.double()) * weight.to(torch.complex128), s=(SIZE, SIZE))
    expected = copy.deepcopy(module.net).double()(changed)
    passes = Forward(Network(module), COMPUTE)
    torch.testing.assert_close(passes.float64(images)[0], expected)
    torch.testing.assert_close(passes(images)[0], expected.float())
