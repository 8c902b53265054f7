"""Datasets of every kind, and what is said of files that do not fit."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from epsball.config import DatasetSpec
from epsball.data import download, german_signs, imagenet, imagenette, images, missing, open_pool, pool_size, signs
from epsball.errors import EpsballError
from PIL import Image
from support.toys import pictures
from torchvision.datasets import GTSRB, Imagenette
from torchvision.models import AlexNet_Weights

Make = Callable[..., DatasetSpec]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two classes of two images each."""
    for name in ("bee", "ant"):
        (tmp_path / "val" / name).mkdir(parents=True)
        for number, picture in enumerate(pictures(2, 20)[0]):
            Image.fromarray(picture).save(tmp_path / "val" / name / f"{number}.png")
    return tmp_path / "val"


def test_imagefolder_sorts_classes(tree: Path, dataset_spec: Make) -> None:
    pool = open_pool(dataset_spec("imagefolder", root=str(tree)), tree)
    assert list(pool.names) == ["ant/0.png", "ant/1.png", "bee/0.png", "bee/1.png"]
    assert pool.labels.tolist() == [0, 0, 1, 1]
    assert pool.class_names == ["ant", "bee"]
    assert (pool.read(1) == pictures(2, 20)[0][1]).all()


def test_hidden_folders_are_no_classes(tree: Path, dataset_spec: Make) -> None:
    (tree / ".cache").mkdir()
    Image.new("RGB", (20, 20)).save(tree / ".cache" / "0.png")
    assert open_pool(dataset_spec("imagefolder", root=str(tree)), tree).names[0] == "ant/0.png"


def test_images_on_disk_are_counted_for_the_plan(tree: Path, dataset_spec: Make) -> None:
    np.savez(tree / "a.npz", images=np.zeros((7, 5, 5, 3), np.uint8), labels=np.zeros(7, int))
    (tree / "b.npz").write_text("no arrays")
    sizes = {
        name: pool_size(dataset_spec(kind, root=str(tree / name)))
        for name, kind in (("", "imagefolder"), ("gone", "imagefolder"), ("a.npz", "arrays"), ("b.npz", "arrays"))
    }
    assert sizes == {"": 4, "gone": 50_000, "a.npz": 7, "b.npz": 1000}


def test_class_list_gives_the_order_of_outputs(tree: Path, dataset_spec: Make) -> None:
    listed = tree.parent / "classes.txt"
    listed.write_text("cat\nbee\ndog\nant\n")
    pool = open_pool(dataset_spec("imagefolder", root=str(tree), classes=str(listed)), tree)
    assert pool.labels.tolist() == [3, 3, 1, 1]
    assert pool.classes == 4
    assert pool.class_names == ["cat", "bee", "dog", "ant"]
    listed.write_text("be\nant\n")
    with pytest.raises(EpsballError, match=r"classes.txt: does not list 'bee', a folder of .*; did you mean 'be'"):
        open_pool(dataset_spec("imagefolder", root=str(tree), classes=str(listed)), tree)
    listed.write_text("ant\nbee\nant\n")
    with pytest.raises(EpsballError, match="class 'ant' is listed more than once"):
        open_pool(dataset_spec("imagefolder", root=str(tree), classes=str(listed)), tree)


def test_resize_and_crop(tmp_path: Path) -> None:
    gradient = np.zeros((40, 80, 3), dtype=np.uint8)
    gradient[:, :, 0] = np.arange(80)
    Image.fromarray(gradient).save(tmp_path / "wide.png")
    assert images.read(tmp_path / "wide.png", resize=20).shape == (20, 40, 3)
    assert (images.read(tmp_path / "wide.png", crop=30) == gradient[5:35, 25:55]).all()
    with pytest.raises(EpsballError, match=r"wide.png: 80 × 40 pixels, expected at least 50; set resize"):
        images.read(tmp_path / "wide.png", crop=50)


@pytest.mark.fault("images that cannot be used", "named, skipped and counted")
def test_images_that_cannot_be_used_are_named_and_skipped(
    tree: Path, dataset_spec: Make, caplog: pytest.LogCaptureFixture
) -> None:
    pool = open_pool(dataset_spec("imagefolder", root=str(tree)), tree)
    whole = [number for numbers, _ in pool.batches(2) for number in numbers]
    assert whole == list(range(len(pool)))
    assert pool.verify() == []
    Image.new("F", (20, 20)).save(tree / "ant" / "0.tif")
    (tree / "ant" / "1.png").write_bytes(b"nothing")
    pool = open_pool(dataset_spec("imagefolder", root=str(tree)), tree)
    complaints = pool.verify()
    assert "ant/0.tif: not readable as an image (its mode is F, whose values have no range of " in complaints[0]
    assert "ant/1.png: not readable as an image" in complaints[1]
    for _ in range(2):  # and told once
        kept = [pool.names[number] for numbers, _ in pool.batches(2) for number in numbers]
        assert kept == [name for name in pool.names if name not in ("ant/0.tif", "ant/1.png")]
    assert [record.getMessage() for record in caplog.records] == [f"skipped {complaint}" for complaint in complaints]


@pytest.mark.fault("folders of nothing but broken images", "a sentence")
def test_folders_of_nothing_but_broken_images(tree: Path, dataset_spec: Make) -> None:
    pool = open_pool(dataset_spec("imagefolder", root=str(tree)), tree)
    for file in pool.files:
        file.write_bytes(b"nothing")
    for look in (pool.verify, lambda: list(pool.batches(2))):
        with pytest.raises(
            EpsballError, match=rf"^datasets.mine: none of {len(pool)} images can be used; the first: .*ant/0.png"
        ):
            look()


def test_grey_images_have_three_equal_channels(tmp_path: Path) -> None:
    Image.linear_gradient("L").save(tmp_path / "grey.png")
    picture = images.read(tmp_path / "grey.png")
    assert picture.shape == (256, 256, 3)
    assert (picture == np.asarray(Image.linear_gradient("L"))[:, :, None]).all()


def test_a_limit_takes_images_of_all_classes(tree: Path, dataset_spec: Make) -> None:
    spec = dataset_spec("imagefolder", root=str(tree))
    pool = open_pool(spec, tree)
    some = open_pool(replace(spec, limit=2), tree)
    assert some.names == [pool.names[0], pool.names[len(pool) // 2]]
    assert {name.split("/")[0] for name in some.names} == {"ant", "bee"}
    assert (some.read(1) == images.read(some.files[1])).all()


def test_images_of_several_sizes(tree: Path, dataset_spec: Make) -> None:
    Image.new("RGB", (21, 20)).save(tree / "bee" / "0.png")
    pool = open_pool(dataset_spec("imagefolder", root=str(tree)), tree)
    with pytest.raises(EpsballError, match=r"^datasets.mine: bee/0.png: 21 × 20 pixels, expected 20 × 20 as the first"):
        list(pool.batches(2))


def test_folders_that_hold_nothing(tmp_path: Path, dataset_spec: Make) -> None:
    with pytest.raises(EpsballError, match=r"datasets.mine: root is 'gone', no such folder"):
        open_pool(dataset_spec("imagefolder", root="gone"), tmp_path)
    with pytest.raises(EpsballError, match=r"datasets.mine: no image was found"):
        open_pool(dataset_spec("imagefolder", root=str(tmp_path)), tmp_path)


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        (
            {"images": np.zeros((2, 4, 4, 3), np.uint8)},
            r"holds \['images'\], expected the arrays",
        ),
        ({"images": np.zeros((2, 3, 4, 4), np.uint8), "labels": np.zeros(2, int)}, r"images are uint8 \(2, 3, 4, 4\)"),
        ({"images": np.zeros((2, 4, 4, 3)), "labels": np.zeros(2, int)}, "images are float64"),
        (
            {"images": np.zeros((2, 4, 4, 3), np.uint8), "labels": np.zeros(3, int)},
            r"labels are int64 \(3,\), exp",
        ),
    ],
)
def test_arrays_that_do_not_fit(
    tmp_path: Path, dataset_spec: Make, arrays: dict[str, np.ndarray], sentence: str
) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(EpsballError, match=sentence):
        open_pool(dataset_spec(root=str(path)), tmp_path)


def test_no_npz_at_all(tmp_path: Path, dataset_spec: Make) -> None:
    (tmp_path / "a.npz").write_text("nothing")
    with pytest.raises(EpsballError, match="not readable as an .npz"):
        open_pool(dataset_spec(root=str(tmp_path / "a.npz")), tmp_path)


def test_photographs_have_labels_and_one_size(tmp_path: Path, dataset_spec: Make) -> None:
    pool = open_pool(dataset_spec("photographs", resize=256, crop=224), tmp_path)
    assert len(pool) == 20
    assert pool.labels.min() >= 0
    assert pool.labels.max() < 1000
    assert pool.class_names is not None
    named = dict(zip(pool.names, (pool.class_names[label] for label in pool.labels), strict=True))
    assert named["imagenet_04_949"] == "strawberry"
    assert {images.shape[1:] for _, images in pool.batches(5)} == {(224, 224, 3)}


def test_signs_are_the_same_rendered_or_read(tmp_path: Path, dataset_spec: Make) -> None:
    spec = dataset_spec("signs", train=50, test=45, seed=3)
    fresh = open_pool(spec, tmp_path)
    signs.render(spec, "test", tmp_path / "test.npz")
    read = open_pool(spec, tmp_path)
    assert list(fresh.names) == list(read.names)
    assert fresh.labels.tolist() == read.labels.tolist()
    assert all((fresh.read(number) == read.read(number)).all() for number in (0, 7, 44))
    assert fresh.class_names == read.class_names == german_signs.NAMES
    assert len(set(german_signs.NAMES)) == signs.CLASSES


def test_splits_and_seeds_of_signs_share_no_image() -> None:
    drawn = [signs.image(split, seed, number) for split in ("train", "test") for seed in (1, 2) for number in range(43)]
    assert len({images.digest(picture) for picture in drawn}) == len(drawn)


def test_templates_of_signs_all_differ() -> None:
    shapes = [np.asarray(signs.template(label), dtype=float) for label in range(signs.CLASSES)]
    closest = min(np.abs(a - b).mean() for i, a in enumerate(shapes) for b in shapes[:i])
    assert closest > 1  # of 255, over the whole template


def test_gtsrb_as_torchvision_lays_it_out(tmp_path: Path, dataset_spec: Make) -> None:
    """Against torchvision's own reader, on a tree of its layout."""
    base = tmp_path / "gtsrb" / "GTSRB"
    rng = np.random.default_rng(2)
    for name in ("00000/00000_00000", "00000/00000_00001", "00001/00003_00000"):
        path = base / "Training" / f"{name}.ppm"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (30, 40, 3)).astype(np.uint8)).save(path)
    (base / "Final_Test" / "Images").mkdir(parents=True)
    Image.fromarray(rng.integers(0, 255, (52, 50, 3)).astype(np.uint8)).save(base / "Final_Test/Images/00002.ppm")
    table = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n00002.ppm;50;52;6;6;43;47;38\n"
    (tmp_path / "gtsrb" / "GT-final_test.csv").write_text(table)
    spec = dataset_spec("gtsrb", root=str(tmp_path), size=48)
    for split in ("train", "test"):
        pool = open_pool(spec, tmp_path, split)
        theirs = GTSRB(tmp_path, split=split)
        assert pool.labels.tolist() == [label for _, label in theirs]
        for number, (image, _) in enumerate(theirs):
            assert (pool.read(number) == np.asarray(image.resize((48, 48), Image.Resampling.BICUBIC))).all()
        assert pool.class_names == german_signs.NAMES
        assert pool.tracks == (["00000/00000", "00000/00000", "00001/00003"] if split == "train" else None)


def test_gtsrb_that_is_not_there(tmp_path: Path, dataset_spec: Make) -> None:
    spec = dataset_spec("gtsrb", root=str(tmp_path), size=48)
    with pytest.raises(EpsballError, match=r"datasets.mine: '.*/gtsrb/GTSRB/Training' does not exist; expected GTSRB"):
        open_pool(spec, tmp_path)


def test_imagenette_has_the_labels_of_imagenet(tmp_path: Path, dataset_spec: Make) -> None:
    """Against the names that torchvision has for both."""
    spec = dataset_spec("imagenette", root=str(tmp_path), size="160px", resize=20, crop=16)
    assert missing(spec) is not None
    for wnid in imagenette.OUTPUTS:
        path = tmp_path / "imagenette2-160" / "val" / wnid / f"{wnid}_1.JPEG"
        path.parent.mkdir(parents=True)
        Image.new("RGB", (24, 20)).save(path, "JPEG")
    pool = open_pool(spec, tmp_path)
    assert pool.read(3).shape == (16, 16, 3)
    categories = AlexNet_Weights.IMAGENET1K_V1.meta["categories"]
    for name, label in zip(pool.names, pool.labels, strict=True):
        names = {entry.replace(" ", "") for entry in Imagenette._WNID_TO_CLASS[name.split("/")[0]]}
        assert categories[label].replace(" ", "") in names
    assert list(pool.class_names or ()) == categories


def test_synsets_of_imagenet_have_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the list; the first and the last tell ImageNet's from other lists of a thousand."""
    categories = AlexNet_Weights.IMAGENET1K_V1.meta["categories"]
    synsets = ["n01440764", *(f"n{2_000_000 + number:08d}" for number in range(998)), "n15075141"]
    assert imagenet.names(synsets) == categories
    assert imagenet.names(synsets[::-1]) == categories[::-1]
    for other in (synsets[:999], [*synsets[:999], "n15075142"], ["ant", "bee"]):
        assert imagenet.names(other) == other
    monkeypatch.setattr(imagenet, "categories", lambda: None)  # of another version of torchvision
    assert imagenet.names(synsets) == synsets


@contextlib.contextmanager
def served(file: Path) -> Iterator[str]:
    """The address of a file on a server of this machine."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=file.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{file.name}"
        server.shutdown()


def test_downloads_are_made_once_and_their_failure_is_told(
    tmp_path: Path, dataset_spec: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = dataset_spec("imagenette", root=str(tmp_path), size="160px", resize=20, crop=16)
    made = tmp_path / "made"
    (made / "imagenette2-160" / "val" / "n01440764").mkdir(parents=True)
    Image.new("RGB", (24, 20)).save(made / "imagenette2-160" / "val" / "n01440764" / "1.JPEG")
    (tmp_path / "away").mkdir()
    archive = Path(shutil.make_archive(str(tmp_path / "away" / "all"), "gztar", made))
    archive = archive.rename(tmp_path / "away" / "imagenette2-160.tgz")
    digest = hashlib.md5(archive.read_bytes()).hexdigest()
    with served(archive) as url:
        monkeypatch.setitem(Imagenette._ARCHIVES, "160px", (url, "0" * 32))
        with pytest.raises(EpsballError, match="datasets.mine: .* does not exist; .* downloading it failed"):
            download(spec)
        monkeypatch.setitem(Imagenette._ARCHIVES, "160px", (url, digest))
        download(spec)
    assert len(open_pool(spec, tmp_path)) == 1
    download(spec)


def test_an_archive_cannot_leave_its_folder(
    tmp_path: Path, dataset_spec: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, archive = tmp_path / "root", tmp_path / "imagenette2-160.tgz"
    with tarfile.open(archive, "w:gz") as made:
        made.addfile(tarfile.TarInfo("../evil"))
    digest = hashlib.md5(archive.read_bytes()).hexdigest()
    root.mkdir()
    spec = dataset_spec("imagenette", root=str(root), size="160px", resize=None, crop=None)
    with served(archive) as url, pytest.raises(EpsballError, match="downloading it failed .*outside the destination"):
        monkeypatch.setitem(Imagenette._ARCHIVES, "160px", (url, digest))
        download(spec)
    assert not (tmp_path / "evil").exists()
