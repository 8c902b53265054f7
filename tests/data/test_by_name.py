"""Datasets by name and by a function, on local copies in the libraries' own files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch
from epsball.config import DatasetSpec, load_config
from epsball.data import download, given, missing, open_pool, own_files, pool_size
from epsball.data.torchvision_sets import _construct
from epsball.errors import EpsballError
from PIL import Image
from support.named_data import coloured, write_cifar10, write_mnist
from support.toys import pictures
from torchvision import datasets as theirs

Make = Callable[..., DatasetSpec]


@pytest.fixture(autouse=True)
def forget() -> None:
    """Datasets are kept by name and folder, for a process that asks often."""
    _construct.cache_clear()


def named(dataset_spec: Make, name: str, root: Path, **options: Any) -> DatasetSpec:
    return dataset_spec("torchvision", name=name, root=str(root), args=options.pop("args", {}), **options)


def test_cifar10_is_torchvisions(tmp_path: Path, dataset_spec: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar10(tmp_path, 50, 20, monkeypatch)
    spec = named(dataset_spec, "CIFAR10", tmp_path)
    for split in ("train", "test"):
        pool = open_pool(spec, tmp_path, split)
        right = theirs.CIFAR10(tmp_path, train=split == "train")
        assert pool.labels.tolist() == right.targets
        assert all((pool.read(number) == right.data[number]).all() for number in range(len(right)))
        assert (pool.classes, list(pool.remarks)) == (10, [])
        assert pool.class_names == right.classes
    assert pool_size(spec) == 20
    assert missing(spec) is None
    download(spec)  # there is nothing to do


def test_a_damaged_or_missing_copy_is_told(tmp_path: Path, dataset_spec: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = named(dataset_spec, "CIFAR10", tmp_path)
    sentence = (
        r"datasets.mine: torchvision's CIFAR10 cannot be read from .* \(Dataset not found.*; put it there as torch"
    )
    with pytest.raises(EpsballError, match=sentence):
        open_pool(spec, tmp_path)
    assert pool_size(spec) == 10_000
    write_cifar10(tmp_path, 50, 20, monkeypatch)
    path = tmp_path / "cifar-10-batches-py" / "test_batch"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(EpsballError, match=sentence):
        open_pool(spec, tmp_path)
    with pytest.raises(EpsballError, match="name is 'CIFAR11', no dataset of torchvision; did you mean 'CIFAR10'"):
        open_pool(named(dataset_spec, "CIFAR11", tmp_path), tmp_path)
    with pytest.raises(EpsballError, match="has no training split|no training split"):
        open_pool(named(dataset_spec, "FakeData", tmp_path, args={"size": 3}), tmp_path, "train")


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST", "KMNIST"])
def test_grey_images_become_rgb_and_that_is_said(tmp_path: Path, dataset_spec: Make, name: str) -> None:
    images, labels = write_mnist(tmp_path, name, 12, 7)
    pool = open_pool(named(dataset_spec, name, tmp_path), tmp_path)
    assert pool.labels.tolist() == labels.tolist()
    assert all((pool.read(number) == images[number][:, :, None]).all() for number in range(7))
    assert pool.remarks == [
        "datasets.mine: of 7 images that were looked at, the modes are 7 L; all are converted to RGB"
    ]


def test_arguments_of_a_class_are_its_own(tmp_path: Path, dataset_spec: Make) -> None:
    write_mnist(tmp_path, "MNIST", 12, 7)

    def opened(name: str = "MNIST", root: Path = tmp_path, **options: Any) -> int:
        return len(open_pool(named(dataset_spec, name, root, **options), tmp_path))

    assert (opened(), opened(args={"train": True}), opened(args={"train": False})) == (7, 12, 7)
    for options, sentence in (
        ({"split": "test"}, "datasets.mine: split: MNIST of torchvision has no such parameter"),
        ({"args": {"trian": True}}, "trian: MNIST of torchvision has no such parameter"),
        ({"args": {"root": "elsewhere"}}, "root: it is a key of the dataset, not of its args: set root there"),
        ({"args": {"download": True}}, "download: it is a key of the dataset, not of its args"),
        ({"name": "EMNIST"}, "torchvision's EMNIST: .*missing 1 required positional argument: 'split'; set it in args"),
        ({"root": tmp_path / "typo"}, "root is '.*typo', no such folder; put MNIST there, or set download: true"),
        ({"name": "Caltech101", "root": tmp_path / "typo"}, "root is '.*typo', no such folder"),
        ({"name": "SEMEION"}, r"torchvision's SEMEION cannot be read .* \(Dataset not found"),  # it downloads by itself
    ):
        with pytest.raises(EpsballError, match=sentence):
            opened(**options)
    assert not (tmp_path / "typo").exists()


def test_labels_of_another_kind_than_the_classes_names(tmp_path: Path, dataset_spec: Make) -> None:
    """Breeds have names, cat or dog has none."""
    base = tmp_path / "oxford-iiit-pet"
    for folder in ("images", "annotations"):
        (base / folder).mkdir(parents=True)
    rows = [("Abyssinian_1", 1, 1), ("beagle_1", 2, 2), ("Bengal_1", 3, 1)]
    for name, _, _ in rows:
        Image.new("RGB", (8, 8)).save(base / "images" / f"{name}.jpg")
    (base / "annotations" / "test.txt").write_text("".join(f"{name} {breed} {kind} 1\n" for name, breed, kind in rows))
    pool = open_pool(named(dataset_spec, "OxfordIIITPet", tmp_path), tmp_path)
    assert (pool.classes, pool.labels.tolist()) == (3, [0, 1, 2])
    args = {"target_types": "binary-category"}
    pool = open_pool(named(dataset_spec, "OxfordIIITPet", tmp_path, args=args), tmp_path)
    assert (pool.classes, pool.class_names, pool.labels.tolist()) == (None, None, [0, 1, 0])


def test_svhn_in_matlab_files(tmp_path: Path, dataset_spec: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Channels last but one, and the digit 0 as class 10."""
    images, _ = coloured(6, 32, 6, 1)
    labels = np.array([10, 1, 2, 9, 10, 5])
    for split in ("train", "test"):
        scipy.io.savemat(tmp_path / f"{split}_32x32.mat", {"X": images.transpose(1, 2, 3, 0), "y": labels[:, None]})
    monkeypatch.setattr(theirs.SVHN, "_check_integrity", lambda self: True)  # its digest is of the original
    pool = open_pool(named(dataset_spec, "SVHN", tmp_path), tmp_path)
    assert pool.labels.tolist() == [0, 1, 2, 9, 0, 5]
    assert (pool.read(3) == images[3]).all()
    assert len(open_pool(named(dataset_spec, "SVHN", tmp_path), tmp_path, "train")) == 6


def test_food101_whose_images_differ_in_size(tmp_path: Path, dataset_spec: Make) -> None:
    base = tmp_path / "food-101"
    (base / "meta").mkdir(parents=True)
    names = {split: {"apple_pie": [f"apple_pie/{split}1"], "tacos": [f"tacos/{split}2"]} for split in ("train", "test")}
    for split, entries in names.items():
        (base / "meta" / f"{split}.json").write_text(json.dumps(entries))
        for number, file in enumerate(one for files in entries.values() for one in files):
            (base / "images" / file).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40 + 20 * number, 50), (200, 0, 0)).save(base / "images" / f"{file}.jpg")
    pool = open_pool(named(dataset_spec, "Food101", tmp_path), tmp_path)
    assert pool.labels.tolist() == [0, 1]
    with pytest.raises(EpsballError, match=r"60 × 50 pixels, expected 40 × 50 as the first image; set resize and crop"):
        list(pool.batches(2))
    pool = open_pool(named(dataset_spec, "Food101", tmp_path, resize=32, crop=32), tmp_path)
    assert next(pool.batches(2))[1].shape == (2, 32, 32, 3)
    (base / "images" / "tacos" / "test2.jpg").write_bytes(b"damaged")
    assert [numbers for numbers, _ in pool.batches(2)] == [[0]]  # named, skipped


def test_a_split_of_another_name(tmp_path: Path, dataset_spec: Make) -> None:
    """Imagenette has train and val; FGVC Aircraft trainval too."""
    for split in ("train", "val"):
        for wnid in theirs.Imagenette._WNID_TO_CLASS:
            (tmp_path / "imagenette2" / split / wnid).mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(tmp_path / "imagenette2" / split / wnid / f"{split}.JPEG")
    assert len(open_pool(named(dataset_spec, "Imagenette", tmp_path), tmp_path)) == 10
    with pytest.raises(EpsballError, match="Unknown value 'tset' for argument split"):
        open_pool(named(dataset_spec, "Imagenette", tmp_path, split="tset"), tmp_path)


FACTORY = """
import helper
import numpy as np
import torch

def arrays(train):
    x, y = helper.make(8 if train else 6)
    return x, y

def tensors(split, scale=255):
    x, y = helper.make(6)
    return torch.from_numpy(x).permute(0, 3, 1, 2) / scale, torch.from_numpy(y)

class Set(torch.utils.data.Dataset):
    def __init__(self, kind):
        self.kind, (self.x, self.y) = kind, helper.make(6)
    def __len__(self):
        return 6
    def __getitem__(self, n):
        if self.kind == "grey":
            return self.x[n, :, :, 0], int(self.y[n])
        return self.x[n], torch.tensor(self.y[n])

def wrong():
    return 3
"""
HELPER = (
    "import numpy as np\n\ndef make(n):\n    d = np.load('pool.npz')\n    return d['images'][:n], d['labels'][:n]\n"
)


@pytest.fixture
def factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    images, labels = pictures(8, 5)
    np.savez("pool.npz", images=images, labels=labels)
    Path("mine.py").write_text(FACTORY)
    Path("helper.py").write_text(HELPER)
    return tmp_path


@pytest.mark.parametrize("name", ["arrays", "tensors", "Set"])
def test_a_factory_of_images_and_labels(factory: Path, dataset_spec: Make, name: str) -> None:
    images, labels = pictures(8, 5)
    args = {"kind": "colour"} if name == "Set" else {}
    spec = dataset_spec("factory", factory=f"mine.py:{name}", args=args)
    pool = open_pool(spec, factory)
    assert pool.labels.tolist() == labels[:6].tolist()
    for number in range(6):
        read = pool.read(number)
        assert read.dtype == (np.float32 if name == "tensors" else np.uint8)
        assert np.allclose(read, images[number] / 255 if name == "tensors" else images[number], atol=1e-7)
    if name == "Set":
        with pytest.raises(EpsballError, match="there is no training split: it has no parameter 'train' or 'split'"):
            open_pool(spec, factory, "train")
    else:
        assert len(open_pool(spec, factory, "train")) == (8 if name == "arrays" else 6)


def test_what_a_factory_gets_wrong(factory: Path, dataset_spec: Make) -> None:
    def spec(name: str, **args: Any) -> DatasetSpec:
        return dataset_spec("factory", factory=f"mine.py:{name}", args=args)

    grey = open_pool(spec("Set", kind="grey"), factory)
    assert (grey.read(0)[:, :, 2] == pictures(8, 5)[0][0][:, :, 0]).all()
    with pytest.raises(EpsballError, match="what the factory returned is a int, expected images and labels, or a data"):
        open_pool(spec("wrong"), factory)
    with pytest.raises(EpsballError, match="image 0 has values from .* expected 0 to 1; leave out the dataset's norm"):
        open_pool(spec("tensors", scale=2), factory)
    with pytest.raises(EpsballError, match=r"fails \(mine.py, line \d+\): TypeError|fails: TypeError"):
        open_pool(spec("Set", other=1), factory)
    with pytest.raises(EpsballError, match="factory 'sett' does not exist in mine.py"):
        open_pool(spec("sett"), factory)


def test_the_files_of_a_factory_count(factory: Path, dataset_spec: Make) -> None:
    spec = dataset_spec("factory", factory="mine.py:arrays", args={})
    assert own_files(spec) == [Path("mine.py"), Path("helper.py")]
    assert set(own_files(spec)) <= set(given(spec))
    assert own_files(dataset_spec(root="a.npz")) == []


def test_huggingface_from_local_folders(
    tmp_path: Path, dataset_spec: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    images, labels = coloured(9, 8, 3, 2)
    features = datasets.Features({"img": datasets.Image(), "fine": datasets.ClassLabel(names=["a", "b", "c"])})
    rows = {"img": [Image.fromarray(image) for image in images], "fine": labels.tolist()}
    table = datasets.Dataset.from_dict(rows, features=features)
    datasets.DatasetDict({"train": table, "validation": table.select(range(5))}).save_to_disk(str(tmp_path / "saved"))
    spec = dataset_spec("huggingface", name=str(tmp_path / "saved"))
    pool = open_pool(spec, tmp_path)
    assert (pool.labels.tolist(), pool.classes) == (labels[:5].tolist(), 3)
    assert pool.class_names == ["a", "b", "c"]
    assert all((pool.read(number) == images[number]).all() for number in range(5))
    assert len(open_pool(spec, tmp_path, "train")) == 9
    for number, image in enumerate(images):
        path = tmp_path / "tree" / "test" / "abc"[labels[number]] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    pool = open_pool(dataset_spec("huggingface", name=str(tmp_path / "tree")), tmp_path)
    assert sorted(pool.labels) == sorted(labels)
    assert {tuple(pool.read(number)[0, 0]) for number in range(9)} == {tuple(image[0, 0]) for image in images}
    with pytest.raises(EpsballError, match="splits .*set split to the one"):
        open_pool(dataset_spec("huggingface", name=str(tmp_path / "saved"), split="dev"), tmp_path)
    one = tmp_path / "one"
    table.save_to_disk(str(one))
    for options, sentence in (
        ({"split": "anything"}, "has one split alone, None; leave out split"),
        ({"subset": "anything"}, "is of save_to_disk, which keeps one subset; leave out subset"),
    ):
        with pytest.raises(EpsballError, match=sentence):
            open_pool(dataset_spec("huggingface", name=str(one), **options), tmp_path)
    several = datasets.Dataset.from_dict(
        {"img": rows["img"][:2], "labels": [[0], [1, 2]]},
        datasets.Features({"img": datasets.Image(), "labels": datasets.Sequence(datasets.ClassLabel(3))}),
    )
    several.save_to_disk(str(tmp_path / "several"))
    with pytest.raises(EpsballError, match="label is 'labels', whose rows have several labels; name a column with one"):
        open_pool(dataset_spec("huggingface", name=str(tmp_path / "several"), label="labels"), tmp_path)
    with pytest.raises(EpsballError, match="label is 'coarse', no column; known: img, fine"):
        open_pool(dataset_spec("huggingface", name=str(tmp_path / "saved"), label="coarse"), tmp_path)


def test_a_name_on_the_hub_is_not_downloaded_unless_told(dataset_spec: Make, tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    with pytest.raises(EpsballError, match=r"'nobody/none' cannot be read .*; set download: true, or name a folder"):
        open_pool(dataset_spec("huggingface", name="nobody/none"), tmp_path)


def test_keys_of_these_kinds() -> None:
    network = {"dataset": "d", "factory": "a.py:b", "training": {}}
    for entry in (
        {"kind": "torchvision", "name": "CIFAR10", "root": "data"},
        {"kind": "factory", "factory": "a.py:b", "args": {"n": 3}},
        {"kind": "huggingface", "name": "folder", "split": "dev"},
    ):
        assert load_config({"datasets": {"d": entry}, "networks": {"n": network}}).networks["n"].training is not None
    both = {"d": {"kind": "signs"}}
    with pytest.raises(EpsballError, match="networks.n has weights and training; leave out one: training begins anew"):
        load_config({"datasets": both, "networks": {"n": {**network, "weights": "w.pt"}}})
    assert torch.__version__
