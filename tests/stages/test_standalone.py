"""Probes without Snakemake: the numbers of the stages, and of networks with known answers."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import epsball
import numpy as np
import pandas as pd
import pytest
import torch
from epsball import controls
from epsball.config import WhiteBox
from epsball.data import Pool, map_style
from epsball.errors import EpsballError
from epsball.networks.forward import Forward, configure
from epsball.networks.model import Network
from epsball.probes import PROBES, Context, is_white_box
from epsball.probes.normalisers import scales
from epsball.stages import measure_input
from epsball.stages.measure_controls import measure_control
from epsball.stages.measure_white_box import measure_white_box
from epsball.stages.perturb import perturb
from epsball.stages.select import sample_seed
from epsball.stages.survey import survey
from PIL import Image
from support.analytic import Linear
from support.toys import BALL, COMPUTE, SIZE, Stages, pictures, sure_net
from torch import nn
from torch.autograd.function import once_differentiable
from torch.utils.data import DataLoader, Dataset

pytestmark = pytest.mark.slow

SETTINGS: dict[str, Any] = {
    "radii": BALL.radii[2:],
    "draws": BALL.draws,
    "batch": COMPUTE.batch,
    "threads": COMPUTE.threads,
    "float64_draws": COMPUTE.float64_draws,
    "device": "cpu",
    "mantel_permutations": 199,
}
WHITE_BOX: dict[str, Any] = {"draws": 4, "clever_batches": 3, "clever_size": 2, "directions": 2, "power_iterations": 5}


@pytest.fixture
def given(pool: Pool) -> tuple[np.ndarray, np.ndarray]:
    """The pool's images as an array, and their labels."""
    return np.stack([pool.read(number) for number in range(len(pool))]), pool.labels


def seeded(stages: Stages) -> pd.DataFrame:
    """The stages' samples, with the seeds and names that the workflow derives."""
    seeds = [sample_seed(2017, digest) for digest in stages.samples["digest"]]
    names = [f"{seed:016x}"[:10] for seed in seeds]
    return stages.samples.assign(seed=np.array(seeds, np.uint64), sample=names)


@pytest.mark.parametrize("probe", [name for name in PROBES if not is_white_box(name)])
def test_stored_probes_have_the_numbers_of_the_stages(
    stages: Stages, given: tuple[np.ndarray, np.ndarray], probe: str
) -> None:
    stages.samples = seeded(stages)
    configure(COMPUTE)
    normalisers = scales(*survey(Forward(Network(sure_net().eval()), COMPUTE), stages.pool, COMPUTE.batch, "net"))
    mixed = probe in ("topology_mixed_radius", "alpha_mixed_radius")
    ball = replace(BALL, radii=(0.0, max(BALL.radii))) if mixed else BALL
    expected = stages.run(sure_net(), probe, ball=ball, context=Context(normalisers, 199))
    found = epsball.measure(sure_net(), *given, probe=probe, **SETTINGS)
    assert found.pop("image").tolist() == np.arange(4).repeat(len(found) // 4).tolist()
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


@pytest.mark.parametrize("probe", [name for name in PROBES if is_white_box(name)])
def test_white_box_probes_have_the_numbers_of_the_stage(
    stages: Stages, given: tuple[np.ndarray, np.ndarray], probe: str
) -> None:
    configure(COMPUTE)
    network = Network(sure_net().eval().requires_grad_(False))
    passes = Forward(network, COMPUTE)
    scale_g, scale_h, *_ = scales(*survey(passes, stages.pool, COMPUTE.batch, "net"))
    settings, scale = WhiteBox(**WHITE_BOX), scale_g / scale_h
    samples = seeded(stages)
    expected = measure_white_box(probe, network, "net", passes, samples, stages.pool, BALL, settings, scale)
    found = epsball.measure(sure_net(), *given, probe=probe, white_box=WHITE_BOX, **SETTINGS)
    pd.testing.assert_frame_equal(found.drop(columns="image"), expected, check_exact=True)


def test_several_probes_and_controls_have_the_numbers_of_each_alone(
    stages: Stages, given: tuple[np.ndarray, np.ndarray]
) -> None:
    asked = ["isotropy", "topology", "gradient"]
    names = ["random-weights", "rbf"]
    found = epsball.measure(sure_net(), *given, probe=asked, controls=names, white_box=WHITE_BOX, **SETTINGS)
    assert list(found) == [*asked, "topology~random-weights", "isotropy~rbf"]
    for probe in asked:
        alone = epsball.measure(sure_net(), *given, probe=probe, white_box=WHITE_BOX, **SETTINGS)
        pd.testing.assert_frame_equal(found[probe], alone, check_exact=True)
    # As the workflow does it: the survey of the control, whose features are its own, and the stage.
    configure(COMPUTE)
    samples, pool = seeded(stages), stages.pool
    drawn = {"uniform": stages.folder / "drawn.zarr.zip"}
    perturb("uniform", samples, pool, BALL, drawn["uniform"], {})
    surveyed = survey(Forward(Network(sure_net().eval()), COMPUTE), pool, COMPUTE.batch, "net")
    for name, probe in (("random-weights", "topology"), ("rbf", "isotropy")):
        made = Forward(controls.of(name, Network(sure_net().eval().requires_grad_(False)), pool, 2017), COMPUTE)
        if controls.has_own_features(name):
            surveyed = survey(made, pool, COMPUTE.batch, "control")
        context = Context(scales(*surveyed), 199)
        expected = measure_control(made, [probe], samples, pool, drawn, BALL, COMPUTE, context, f"net~{name}")[probe]
        pd.testing.assert_frame_equal(found[f"{probe}~{name}"].drop(columns="image"), expected, check_exact=True)


class Pictures(Dataset[Any]):
    """Images that a transform has made tensors of, with their labels as numbers; no more than is asked for."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(self.images[number]).permute(2, 0, 1) / 255, int(self.labels[number])


class Pillow(Pictures):
    """The same as images of Pillow, as torchvision's datasets have them without a transform."""

    def __getitem__(self, number: int) -> Any:
        return Image.fromarray(self.images[number]), int(self.labels[number])


class Methods:
    """A dataset by its methods alone."""

    def __init__(self, data: Pictures) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, number: int) -> Any:
        return self.data[number]


def test_datasets_and_loaders_are_the_arrays(given: tuple[np.ndarray, np.ndarray]) -> None:
    expected = epsball.measure(sure_net(), *given, **SETTINGS)
    data = Pictures(*given)
    stack = torch.stack([data[number][0] for number in range(len(data))])
    for kind in (data, DataLoader(data, batch_size=3), DataLoader(data, batch_size=None), Pillow(*given)):
        pd.testing.assert_frame_equal(epsball.measure(sure_net(), kind, **SETTINGS), expected, check_exact=True)
    ready: Any = [(stack[:3], given[1][:3]), (stack[3:], given[1][3:])]
    sampled = DataLoader(data, batch_sampler=[[0, 1], list(range(2, len(data)))])
    pairs: Any = [Pillow(*given)[number] for number in range(len(data))]
    listed = DataLoader(data, batch_size=2, collate_fn=list)
    methods: Any = Methods(data)
    for several in (DataLoader(ready, batch_size=None), sampled, pairs, listed, methods):
        pd.testing.assert_frame_equal(epsball.measure(sure_net(), several, **SETTINGS), expected, check_exact=True)
    levels = torch.from_numpy(given[0]).permute(0, 3, 1, 2)
    alone: Any = DataLoader(stack, batch_size=3)  # type: ignore[arg-type]
    for form in (alone, list(stack), stack.to(memory_format=torch.channels_last), given[0][:, ::-1][:, ::-1], levels):
        found = epsball.measure(sure_net(), form, given[1], **SETTINGS)
        pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_settings_of_numpy_and_pytorch(given: tuple[np.ndarray, np.ndarray]) -> None:
    expected = epsball.measure(sure_net(), *given, **SETTINGS)
    settings = {
        **SETTINGS,
        "radii": torch.tensor(BALL.radii[2:]),
        "draws": np.int64(BALL.draws),
        "batch": torch.tensor(COMPUTE.batch),
        "mantel_permutations": np.uint8(199),
        "epsilon": np.float64(0.1),
        "seed": np.uint64(2017),
        "clip": np.bool_(False),
    }
    labels = torch.from_numpy(given[1]).to(torch.int16)
    found = epsball.measure(sure_net(), given[0], labels, **settings)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_the_modes_of_the_caller_change_nothing(given: tuple[np.ndarray, np.ndarray]) -> None:
    expected = epsball.measure(sure_net(), *given, probe=["isotropy", "gradient"], **SETTINGS)
    for mode in (torch.no_grad(), torch.inference_mode(), torch.autocast("cpu", torch.bfloat16)):
        model = sure_net()
        with mode:
            found = epsball.measure(model, *given, probe=["isotropy", "gradient"], **SETTINGS)
        for probe, table in expected.items():
            pd.testing.assert_frame_equal(found[probe], table, check_exact=True)


def test_images_of_pillow_are_converted_as_those_of_a_run(given: tuple[np.ndarray, np.ndarray]) -> None:
    for mode in ("YCbCr", "HSV", "CMYK", "RGBA", "P", "L", "1"):
        images = [Image.fromarray(image).convert(mode) for image in given[0]]
        right = map_style.pool((images, given[1]), "it", "test", None, None)
        pool = measure_input.read_pool(images, given[1])
        assert all((pool.read(number) == right.read(number)).all() for number in range(len(images))), mode


def test_defaults_of_the_caller_change_nothing(given: tuple[np.ndarray, np.ndarray]) -> None:
    settings: dict[str, Any] = {**SETTINGS, "probe": ["topology", "lipschitz_bounds"], "white_box": {"draws": 3}}
    expected = epsball.measure(sure_net(), *given, **settings)
    model = sure_net()
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    try:
        found = epsball.measure(model, *given, **settings)
        assert (torch.get_default_dtype(), torch.get_default_device().type) == (torch.float64, "meta")
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
    for probe, table in expected.items():
        pd.testing.assert_frame_equal(found[probe], table, check_exact=True)


def test_a_bar_is_shown_where_asked(given: tuple[np.ndarray, np.ndarray], capsys: pytest.CaptureFixture[str]) -> None:
    epsball.measure(sure_net(), *given, progress=True, **SETTINGS)
    assert "4/4" in capsys.readouterr().err
    epsball.measure(sure_net(), *given, **SETTINGS)
    assert not capsys.readouterr().err


def test_a_scaled_isometry(given: tuple[np.ndarray, np.ndarray]) -> None:
    units = 3 * SIZE * SIZE
    model = Linear(2.5 * np.linalg.qr(np.random.default_rng(0).normal(size=(units, units)))[0])
    topology = epsball.measure(model, *given, "topology", layer="features", **SETTINGS)
    assert topology.loc[topology["radius"] > 0, "rho"].to_numpy() == pytest.approx(1, abs=1e-4)
    table = epsball.measure(model, *given, "lipschitz", layer="features", **SETTINGS).dropna()
    assert table["ratio_raw"].to_numpy() == pytest.approx(2.5, rel=1e-4)
    values = np.stack([image / 255 for image in given[0]])
    with torch.inference_mode():
        features = model.features(torch.from_numpy(values.transpose(0, 3, 1, 2)).float().flatten(1))
    g, h = 1 / np.ptp(features.numpy()), 1 / np.ptp(values)
    assert table["ratio"].to_numpy() == pytest.approx(2.5 * g / h, rel=1e-4), "g and h are from the images given"


def test_the_same_images_as_levels_floats_and_tensors(given: tuple[np.ndarray, np.ndarray]) -> None:
    pictures, labels = given
    expected = epsball.measure(sure_net(), pictures, labels, **SETTINGS)
    tensor = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    for images in (tensor, tensor.numpy(), tensor.numpy().astype(np.float64), torch.from_numpy(pictures)):
        found = epsball.measure(sure_net(), images, torch.from_numpy(labels), **SETTINGS)
        pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_floats_between_the_levels_are_not_rounded() -> None:
    generator = np.random.default_rng(4)
    images = generator.uniform(0.2, 0.8, (2, 3, SIZE, SIZE)).astype(np.float32)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 3))
    table = epsball.measure(model, images, [0, 1], "isotropy", **SETTINGS)
    with torch.inference_mode():
        scores = model.eval()(torch.from_numpy(images)).double().softmax(1).numpy()
    clean = table[table["radius"] == 0]
    assert clean["score_mean"].to_numpy() == pytest.approx(scores[[0, 1], [0, 1]], abs=1e-7)


class _Same(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return gradients[0]


class OnceOnly(nn.Module):
    """What has no forward derivative, nor a second backward one."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        same: torch.Tensor = _Same.apply(x)
        return same


def test_model_and_process_are_left_as_they_were(given: tuple[np.ndarray, np.ndarray]) -> None:
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(2)
    model = nn.Sequential(nn.Dropout(0.5), *sure_net()).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    epsball.measure(model, *given, **SETTINGS)
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with pytest.raises(EpsballError, match="cannot be measured"):
        epsball.measure(nn.Sequential(OnceOnly(), *model), *given, probe="expansion", **SETTINGS)
    assert model.training
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())
    assert torch.get_num_threads() == 2
    assert not torch.are_deterministic_algorithms_enabled()


IMAGES, LABELS = pictures(4)


class Ending(Pictures):
    def __getitem__(self, number: int) -> Any:
        raise SystemExit(0)


FLOATS = IMAGES.transpose(0, 3, 1, 2) / np.float32(255)
MAPPINGS: Any = [{"image": 1}]
LOADER_OF_MAPPINGS: DataLoader[Any] = DataLoader(MAPPINGS)
PAIRS = list(zip(IMAGES, LABELS, strict=True))
BROKEN = FLOATS.copy()
BROKEN[2, 0, 1, 1] = np.nan


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"probe": "topologie"}, "'topologie' is no probe; did you mean 'topology'?"),
        ({"layer": "5"}, "layer '5' does not exist in the network; known: 0, 1, 2, 3, 4."),
        ({"model": lambda x: x}, "model is of type function; expected a torch.nn.Module"),
        ({"model": nn.Sequential(nn.Linear(3, 3))}, "the model: does not take an image of shape (3, 6, 6)"),
        (
            {"data": IMAGES[:, :4, :, :2]},
            "images are uint8 (4, 4, 6, 2); expected uint8 (n, height, width, 3)",
        ),
        ({"data": IMAGES[0]}, "images are uint8 (6, 6, 3); expected"),
        ({"data": IMAGES[:0]}, "images are empty"),
        ({"data": 255 * FLOATS}, "images have values from 60 to 218; expected [0, 1]"),
        ({"data": FLOATS / FLOATS.max() * np.float32(1.0000002)}, "to 1.00000024; expected [0, 1]"),
        ({"data": (FLOATS, LABELS), "labels": None}, "data is a pair of images and labels; give the labels as the nex"),
        ({"model": sure_net().to("meta")}, "'0.weight' of the network has no numbers (device meta); load its weights"),
        ({"data": Ending(IMAGES, LABELS), "labels": None}, "data ends the program (exit code 0)"),
        ({"data": BROKEN}, "image 2 has values that are not finite"),
        ({"data": IMAGES[[0, 1, 2, 1]]}, "images 1 and 3 are equal"),
        ({"labels": LABELS[:3]}, "labels are int64 (3,), expected 4 integers, one for each image"),
        ({"labels": LABELS / 1}, "labels are float64 (4,), expected 4 integers"),
        ({"labels": LABELS + 1}, "the model: has 3 outputs, but there are labels from 1 to 3; labels count from 0"),
        ({"labels": None}, "labels are missing"),
        ({"labels": np.ma.masked_equal([0, 1, 2, 0], 2)}, "labels are a masked array, of which some are masked"),
        ({"data": np.ma.masked_equal(IMAGES, IMAGES[0, 0, 0, 0])}, "images are a masked array, of which some are"),
        ({"labels": [0, 1, 2, [0]]}, "labels are of different shapes, () and (1,)"),
        ({"data": [*IMAGES[:3], IMAGES[0][:4]]}, "images are of different shapes, (6, 6, 3) and (4, 6, 3)"),
        ({"data": "photos"}, "images are str; expected uint8"),
        ({"data": DataLoader(Pictures(IMAGES, LABELS))}, "labels are given twice"),
        ({"data": LOADER_OF_MAPPINGS, "labels": None}, "data gives a dict of 'image'; expected images, or"),
        (
            {"data": [(*pair, 1) for pair in PAIRS], "labels": None},
            "data gives a tuple of 3; expected images, or pairs",
        ),
        (
            {"data": [{"image": 1, "label": 2}], "labels": None},
            "data gives a dict of 'image', 'label'; expected images",
        ),
        ({"data": iter(PAIRS), "labels": None}, "data is a list_iterator, which can be read only once; give a list"),
        ({"data": Pictures(IMAGES, LABELS[:2]), "labels": None}, "data cannot be read: IndexError"),
        ({"data": torch.zeros(0, 3, 6, 6)}, "images are empty"),
        ({"probe": []}, "probe is empty"),
        ({"controls": ["identiti"]}, "'identiti' is no control; did you mean 'identity'?"),
        ({"controls": ["identity"]}, "control 'identity' is measured by none of the probes; it is by topology"),
        ({"radii": 1}, "radii is 1; expected: a list, such as [1, 2]"),
        ({"radii": np.array([1, np.nan])}, "radii.1 is nan"),
        ({"device": "cuda:7"}, "device is 'cuda:7'; expected one of"),
        ({"layer": ""}, "layer '' does not exist in the network"),
        ({"draws": 2}, "draws is 2; it must be at least 3"),
        ({"radii": [3, 1]}, "radii are [3, 1]; they must rise"),
        ({"white_box": {"drws": 3}}, "unknown key 'drws' in white_box; did you mean 'draws'?"),
        ({"probe": "depth", "white_box": {"layers": {"model": ["fc"]}}}, "layer 'fc' does not exist in the network"),
    ],
)
def test_mistakes_are_one_sentence(change: dict[str, Any], sentence: str) -> None:
    arguments = {"model": sure_net(), "data": IMAGES, "labels": LABELS, **change}
    with pytest.raises(EpsballError, match=re.escape(sentence)) as raised:
        epsball.measure(**arguments)
    assert "\n" not in str(raised.value)
    assert "configuration" not in str(raised.value)
