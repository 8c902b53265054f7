"""Sources of networks, layers, weights, and what is said when they do not fit."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from epsball.config import NetworkSpec
from epsball.errors import EpsballError
from epsball.networks import efficientnet_lite, model, sources, state
from epsball.networks.forward import configure
from epsball.networks.model import Network
from support.toys import COMPUTE, conv_net
from torch import nn
from torch.nn.utils import parametrizations
from torchvision import models


def spec(factory: str, **keys: object) -> NetworkSpec:
    return NetworkSpec(name="mine", dataset="d", factory=factory, **keys)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "parameters"), [("ciresan2012", 1_543_443), ("aghdam2015", 1_123_449)])
def test_sign_networks_have_the_published_parameters(name: str, parameters: int) -> None:
    module = model.build(spec(f"sign:{name}"))
    assert model.parameters(module) == parameters
    assert model.probe_shape(Network(module), torch.rand(3, 48, 48)) == (43, 300)


def test_published_reductions_of_parameters_are_met() -> None:
    """Aghdam et al. 2015: 27% fewer than Ciresan's, 22% fewer than the runner-up's."""
    assert round(100 * (1 - 1_123_449 / 1_543_443)) == 27
    assert round(100 * (1 - 1_123_449 / 1_437_791)) == 22


@pytest.mark.slow
def test_efficientnet_lite_has_its_shapes() -> None:
    network = model.open_network(spec("efficientnet-lite:0"))
    assert model.probe_shape(network, torch.rand(3, 64, 64)) == (1000, 1280)


def test_features_are_what_enters_the_last_linear_module() -> None:
    module = conv_net()
    module.eval()
    images = torch.rand(4, 3, 6, 6)
    logits, features = Network(module)(images)
    assert torch.equal(features, module[:-1](images))
    assert torch.equal(module[-1](features), logits)
    assert torch.equal(Network(conv_net().eval(), "0")(images)[1], module[0](images).flatten(1))


def test_layers_that_do_not_exist() -> None:
    with pytest.raises(EpsballError, match="layer 'clasifier' does not exist .*; did you mean 'classifier'"):
        Network(Named(), "clasifier")


class Named(nn.Module):
    """Has a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(2, 2)


FACTORY = """
import torch
from torch import nn
from torchvision import models

def make(width=4, weights=None):
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, width))
    if weights:
        net.load_state_dict(torch.load(weights, weights_only=True))
    return net

def broken():
    raise RuntimeError("no luck")

def wrong():
    return 7
"""


@pytest.fixture
def factory(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(FACTORY)
    return path


def test_own_factory_with_args_and_weights(factory: Path, tmp_path: Path) -> None:
    torch.save({"1.weight": torch.ones(6, 12), "1.bias": torch.zeros(6)}, tmp_path / "w.pt")
    made = model.build(spec(f"{factory}:make", args={"width": 6}, weights=str(tmp_path / "w.pt")))
    assert float(made(torch.ones(1, 3, 2, 2)).sum()) == 72


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("mak", "factory 'mak' does not exist in .*mine.py; did you mean 'make'"),
        ("broken", r"factory '.*' fails \(mine.py, line \d+\): RuntimeError: no luck"),
        ("wrong", "returned int, expected a torch.nn.Module"),
    ],
)
def test_factories_that_do_not_work(factory: Path, name: str, sentence: str) -> None:
    with pytest.raises(EpsballError, match=sentence):
        model.open_network(spec(f"{factory}:{name}"))


@pytest.mark.parametrize(
    ("factory", "sentence"),
    [
        ("nowhere.py:make", "factory's file 'nowhere.py' does not exist"),
        ("no_such_package.x:make", "factory's module 'no_such_package.x' does not exist; known: efficientnet-lite, "),
        (
            "efficientnet-light:1",
            "'efficientnet-light' does not exist; did you mean 'efficientnet-lite'",
        ),
        ("sign:ciresan201", "did you mean 'ciresan2012'"),
        ("efficientnet-lite:7", "'efficientnet-lite:7' does not exist"),
    ],
)
def test_factories_that_do_not_exist(factory: str, sentence: str) -> None:
    with pytest.raises(EpsballError, match=sentence):
        model.open_network(spec(factory))


def test_missing_weights(factory: Path) -> None:
    with pytest.raises(EpsballError, match="networks.mine: weights 'gone.npz' do not exist"):
        model.open_network(spec(f"{factory}:make", weights="gone.npz"))


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        (
            {"1.weight": torch.ones(5, 12), "1.bias": torch.zeros(4)},
            r"'1.weight' have shape \(5, 12\), expected \(4",
        ),
        ({"1.weight": torch.ones(4, 12)}, "weights have no '1.bias'"),
        (
            {"1.weight_gain": torch.ones(4, 12), "1.bias": torch.zeros(4)},
            "weights have no '1.weight'; did you mean '1.weight_gain'",
        ),
        (
            {"1.weight": torch.ones(4, 12), "1.bias": torch.zeros(4), "2.bias": torch.zeros(4)},
            "weights hold '2.bias', which the network does not have; did you mean '1.bias'",
        ),
    ],
)
def test_weights_that_do_not_fit(factory: Path, weights: dict[str, torch.Tensor], sentence: str) -> None:
    with pytest.raises(EpsballError, match=sentence):
        model.open_network(spec(f"{factory}:make"), weights)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize(
    ("make", "part"),
    [
        (parametrizations.weight_norm, "parametrizations.weight.original0"),
        (torch.nn.utils.weight_norm, "weight_g"),
        (torch.nn.utils.spectral_norm, "weight_orig"),
    ],
)
def test_weights_that_are_what_others_are_made_of(make: Callable[[nn.Module], nn.Module], part: str) -> None:
    plain, made = (nn.Sequential(nn.Flatten(), nn.Linear(12, 4)) for _ in range(2))
    make(made[1])
    with pytest.raises(EpsballError, match=rf"weights have no '1.weight', but what it is made of, such as '1.{part}'"):
        state.load(plain, made.state_dict())


def test_images_that_a_network_does_not_take(factory: Path) -> None:
    network = model.open_network(spec(f"{factory}:make"))
    with pytest.raises(EpsballError, match=r"does not take an image of shape \(3, 9, 9\)"):
        model.probe_shape(network, torch.rand(3, 9, 9))


def test_an_operation_without_a_deterministic_form_is_told_as_such() -> None:
    class Unpooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            pooled, places = nn.functional.max_pool2d(x, 2, return_indices=True)
            whole = nn.functional.max_unpool2d(pooled, places, [2])
            logits: torch.Tensor = self.head(whole.mean(1).flatten(1)[:, :4])
            return logits

    configure(COMPUTE)
    with pytest.raises(EpsballError, match="has no deterministic form of max_unpooling2d_forward_out, which a run"):
        model.probe_shape(model.Network(Unpooled().eval()), torch.rand(3, 8, 8))


def test_folding_changes_nothing_but_rounding() -> None:
    module = efficientnet_lite._EfficientNetLite("0", 64).eval()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -1, 1)  # type: ignore[arg-type]
            nn.init.uniform_(part.running_var, 0.5, 2)  # type: ignore[arg-type]
            nn.init.uniform_(part.bias, -1, 1)
    images = torch.rand(2, 3, 64, 64, dtype=torch.float64)
    module.double().requires_grad_(False)
    before = module(images)
    after = efficientnet_lite.fold(module)(images)
    assert float((after - before).abs().max()) < 1e-9 * float(before.abs().max())
    assert not any(isinstance(part, nn.BatchNorm2d) for part in module.modules())


def hub(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, state: dict[str, torch.Tensor]) -> Path:
    """A torch hub cache in a folder of the test's, and in it a state dict as the published one of a network."""
    monkeypatch.setenv("TORCH_HOME", str(folder))
    path = folder / "hub" / "checkpoints" / "new.pth"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    path = path.rename(path.with_name(f"{name}-{digest}.pth"))
    published = models.get_model_weights(name)["IMAGENET1K_V1"]
    monkeypatch.setattr(published.value, "url", f"file://{folder}/nowhere/{path.name}")
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layer", "units"),
    [
        ("alexnet", "classifier.5", 4096),
        ("googlenet", "avgpool", 1024),
        ("vgg16", "classifier.4", 4096),
        ("resnet50", "avgpool", 2048),
    ],
)
def test_the_papers_networks_come_from_the_hub_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, layer: str, units: int
) -> None:
    """Against torchvision's own builder and transforms, on the same state dict."""
    torch.manual_seed(4)
    arguments = {"init_weights": False} if name in ("googlenet", "vgg16") else {}
    reference = models.get_model(name, weights=None, **arguments).eval()
    old = {key: value for key, value in reference.state_dict().items() if "num_batches_tracked" not in key}
    hub(monkeypatch, tmp_path, name, old)
    made = model.open_network(spec(f"torchvision:{name}", layer=layer)).eval()
    images = torch.rand(1, 3, 224, 224)
    transforms = models.get_model_weights(name)["IMAGENET1K_V1"].transforms()
    normal = (images - torch.tensor(transforms.mean).view(-1, 1, 1)) / torch.tensor(transforms.std).view(-1, 1, 1)
    if name == "googlenet":  # its published weights expect the normalisation of its first training
        reference.transform_input = True
    with torch.inference_mode():
        expected = reference(normal)
        logits, features = made(images)
    assert torch.allclose(logits, expected, atol=1e-5)
    assert features.shape == (1, units)
    last = [part for part in made.module.modules() if isinstance(part, nn.Linear)][-1]
    assert torch.allclose(last(features), logits, atol=1e-5), "the layer is what enters the classification layer"
    restored = model.open_network(spec(f"torchvision:{name}"), made.module.state_dict())
    with torch.inference_mode():
        assert torch.equal(restored(images)[0], logits)


@pytest.fixture
def resnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return hub(monkeypatch, tmp_path, "resnet18", models.resnet18().state_dict())


RESNET = spec("torchvision:resnet18")


def test_weights_of_a_wrong_digest(resnet: Path) -> None:
    assert model.fetch(RESNET) == resnet
    resnet.write_bytes(resnet.read_bytes()[:-1000])
    with pytest.raises(EpsballError, match=r"networks.mine: weights '.*' have the SHA-256 .*, expected .*; remove the"):
        model.fetch(RESNET)


def test_no_weights_and_no_network(resnet: Path) -> None:
    resnet.unlink()
    with pytest.raises(EpsballError) as caught:
        model.fetch(RESNET)
    assert f"weights '{resnet.name}' are not in the folder '{resnet.parent}'" in str(caught.value)
    assert "put the file there" in str(caught.value)


def test_weights_are_downloaded_and_verified(resnet: Path, tmp_path: Path) -> None:
    (tmp_path / "nowhere").mkdir()
    resnet.rename(tmp_path / "nowhere" / resnet.name)
    assert model.fetch(RESNET) == resnet
    resnet.unlink()
    (tmp_path / "nowhere" / resnet.name).write_bytes(b"something else")
    with pytest.raises(EpsballError, match="cannot be downloaded"):
        model.fetch(RESNET)
    assert not resnet.exists()


@pytest.mark.slow
def test_local_weights_of_torchvision(tmp_path: Path) -> None:
    path = tmp_path / "mine.pth"
    module = models.resnet18()
    torch.save(module.state_dict(), path)
    made = model.open_network(spec("torchvision:resnet18", weights=str(path)))
    assert torch.equal(made.module.get_parameter("fc.weight"), module.fc.weight)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(EpsballError, match=r"mine.pth' cannot be read as a state dict .*; get it again"):
        model.open_network(spec("torchvision:resnet18", weights=str(path)))
    torch.save(models.resnet34().state_dict(), path)
    with pytest.raises(EpsballError, match=r"mine.pth: weights hold 'layer1.2.conv1.weight', which the network does"):
        model.open_network(spec("torchvision:resnet18", weights=str(path)))


def test_timm_networks_are_normalised_as_their_weights_require(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm", reason="the package timm is optional")
    module = timm.create_model("mobilenetv3_small_050", pretrained=False).eval()
    torch.save(module.state_dict(), tmp_path / "w.pth")
    made = model.open_network(spec("timm:mobilenetv3_small_050", weights=str(tmp_path / "w.pth")))
    images = torch.rand(2, 3, 64, 64)
    mean, std = (torch.tensor(module.pretrained_cfg[key]).view(-1, 1, 1) for key in ("mean", "std"))
    with torch.inference_mode():
        assert torch.allclose(made(images)[0], module((images - mean) / std), atol=1e-6)
    with pytest.raises(EpsballError, match="'timm:mobilenetv3_smal_050' does not exist; did you mean"):
        model.open_network(spec("timm:mobilenetv3_smal_050"))


@pytest.mark.slow
def test_published_weights_of_another_size_of_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The position embedding of ViT is that of its weights' images, in the run that restores it, too."""
    entry = models.ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1
    reference = models.vit_b_16(image_size=384).eval()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub" / "checkpoints" / "vit.pth"
    path.parent.mkdir(parents=True)
    torch.save(reference.state_dict(), path)
    monkeypatch.setattr(entry.value, "url", "file:///nowhere/vit.pth")
    swag = spec("torchvision:vit_b_16", args={"version": entry.name})
    made = model.build(swag)
    assert torch.equal(made.get_parameter("encoder.pos_embedding"), reference.encoder.pos_embedding)
    assert model.open_network(swag, made.state_dict()).module.image_size == 384
    with pytest.raises(EpsballError, match=r"does not take args \{'num_classes': 10\}"):
        model.build(spec("torchvision:vit_b_16", args={"version": entry.name, "num_classes": 10}))


def test_unknown_torchvision_names_and_versions() -> None:
    with pytest.raises(EpsballError, match="factory 'torchvision:resnet51' does not exist; did you mean 'resnet5"):
        model.open_network(spec("torchvision:resnet51"))
    with pytest.raises(EpsballError, match="args.version is 'V9', not one of torchvision's for alexnet: IMAGENET1K_V1"):
        model.open_network(spec("torchvision:alexnet", args={"version": "V9"}))


def test_features_are_those_before_what_works_in_place() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(inplace=True), nn.Linear(5, 2)).eval()
    images = torch.rand(3, 3, 2, 2)
    assert torch.equal(Network(module, "1")(images)[1], module[1](images.flatten(1)))


def test_the_file_behind_a_network_counts_and_one_that_is_not_there_does_not_stop_the_rules(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text("one")
    own = NetworkSpec("net", "d", f"{file}:make")
    first = sources.files_digest(own)
    file.write_text("two")
    assert first != sources.files_digest(own) != ""
    assert sources.files_digest(NetworkSpec("net", "d", "epsball.errors:nearest"))
    for factory in (
        "no_such_package.module:make",
        "no_such_package:make",
        f"{tmp_path}/gone.py:make",
        "sign:ciresan2012",
    ):
        assert sources.files_digest(NetworkSpec("net", "d", factory)) == ""


def test_what_a_factory_imports_from_beside_it_is_found_and_counts(tmp_path: Path) -> None:
    (tmp_path / "parts" / "deep").mkdir(parents=True)
    texts = {
        "net.py": "import json\nfrom layers import width\ndef make(): return width.module()\n",
        "layers.py": "import parts.deep.width as width\n",
        "parts/__init__.py": "",
        "parts/deep/__init__.py": "",
        "parts/deep/width.py": "from torch import nn\nfrom ..size import SIZE\nmodule = lambda: nn.Linear(SIZE, 2)\n",
        "parts/size.py": "SIZE = 5\n",
        "aside.py": "",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    own = NetworkSpec("net", "d", f"{tmp_path}/net.py:make")
    found = sources.own_files(own)
    assert sorted(str(path.relative_to(tmp_path)) for path in found) == sorted(texts.keys() - {"aside.py"})
    assert len(sources.own_files(NetworkSpec("net", "d", "plotly.graph_objects:Figure"))) == 1, "installed: one file"
    module = model.build(own)
    assert isinstance(module, nn.Linear)
    assert module.in_features == 5
    first = sources.files_digest(own)
    (tmp_path / "aside.py").write_text("1")
    assert sources.files_digest(own) == first
    (tmp_path / "parts" / "size.py").write_text("SIZE = 6\n")
    assert sources.files_digest(own) != first


def test_factories_of_two_folders_may_import_the_same_name(tmp_path: Path) -> None:
    made = []
    for size in (3, 4):
        folder = tmp_path / str(size)
        folder.mkdir()
        (folder / "helper.py").write_text(f"SIZE = {size}\n")
        (folder / "net.py").write_text(
            "from torch import nn\ndef make():\n    import helper\n    return nn.Linear(helper.SIZE, 2)\n"
        )
        made.append(model.build(NetworkSpec("net", "d", f"{folder}/net.py:make")))
    assert [module.in_features for module in made] == [3, 4]
    assert not any(path.startswith(str(tmp_path)) for path in sys.path)


def test_a_module_that_is_a_file_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.py").touch()
    with pytest.raises(
        EpsballError, match=r"module 'here' does not exist; write 'here.py:…' for the file of that name"
    ):
        model.open_network(NetworkSpec("net", "d", "here:make"))
