"""Images, folders and arrays as people have them: read as torchvision reads them, or named; nothing in silence."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import unicodedata
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from epsball.config import DatasetSpec
from epsball.data import images, open_pool, pool_size
from epsball.data.images import UnusableImageError
from epsball.errors import EpsballError
from PIL import ExifTags, Image
from support import rights
from support.toys import pictures
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import pil_loader

Make = Callable[..., DatasetSpec]


def save(folder: Path, *names: str, seed: int = 0) -> None:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pictures(len(names), 12, seed)[0][number]).save(folder / name)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"])
def test_modes_become_rgb_as_in_torchvision(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (9, 7, 4), dtype=np.uint8), "RGBA")
    rgb = picture.convert("RGB")
    if mode in {"LAB", "HSV", "YCbCr", "CMYK", "1", "P"}:
        image = rgb.convert(mode) if mode != "LAB" else Image.fromarray(np.asarray(rgb), "LAB")
    else:
        image = (picture.convert("P") if mode == "PA" else picture).convert(mode)
    for suffix in ("png", "tif", "jpg"):
        try:
            image.save(tmp_path / f"a.{suffix}")
        except OSError:
            continue  # a format that has no such mode
        assert (images.read(tmp_path / f"a.{suffix}") == np.asarray(pil_loader(tmp_path / f"a.{suffix}"))).all()


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_sixteen_bits_are_scaled(tmp_path: Path, name: str) -> None:
    """torchvision's loader cuts off all above 255; NumPy tells what is right."""
    values = np.linspace(0, 65535, 12 * 9).astype(np.uint16).reshape(12, 9)
    Image.fromarray(values).save(tmp_path / name)
    right = np.round(values / 65535 * 255).astype(np.uint8)
    assert (images.read(tmp_path / name) == right[:, :, None]).all()


@pytest.mark.parametrize(("color", "channels", "said"), [(2, 3, "RGB;16"), (6, 4, "RGBA;16"), (4, 2, "RGBA;16")])
def test_colours_of_sixteen_bits_are_counted(
    tmp_path: Path, dataset_spec: Make, caplog: pytest.LogCaptureFixture, color: int, channels: int, said: str
) -> None:
    """Pillow, and with it torchvision's loader, reads their upper bytes; written here as the format has it."""
    lines = (b"\0" + bytes([200, 99]) * channels * 4) * 4
    chunks = {b"IHDR": struct.pack(">IIBBBBB", 4, 4, 16, color, 0, 0, 0), b"IDAT": zlib.compress(lines), b"IEND": b""}
    packed = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks.items()
    )
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "deep.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
    Image.new("RGB", (4, 4)).save(tmp_path / "one" / "plain.png")
    (tmp_path / "one" / "deep.ppm").write_bytes(b"P6 4 4 65535\n" + bytes([200, 99]) * 48)
    pool = open_pool(dataset_spec("imagefolder", root=str(tmp_path), resize=None, crop=4), tmp_path)
    assert pool.verify() == []
    assert f"mode {said}" in caplog.text and "the upper 8 of 16 bits a channel" in caplog.text
    assert "plain" not in caplog.text
    assert (images.read(tmp_path / "one" / "deep.png") == 200).all()


@pytest.mark.fault("further frames, and an orientation in EXIF", "counted")
def test_what_is_left_out_of_files_is_counted(
    tmp_path: Path, dataset_spec: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """The pixels are those of torchvision's loader: of the first frame, and not turned."""
    frames = [Image.fromarray(picture) for picture in pictures(2, 12)[0]]
    (tmp_path / "one").mkdir()
    for suffix in ("gif", "webp", "tif", "png"):
        frames[0].save(tmp_path / "one" / f"a.{suffix}", save_all=True, append_images=frames[1:])
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    frames[0].save(tmp_path / "one" / "b.jpg", exif=turned)
    frames[0].save(tmp_path / "one" / "c.jpg")
    pool = open_pool(dataset_spec("imagefolder", root=str(tmp_path), resize=None, crop=None), tmp_path)
    assert pool.verify() == []
    assert "4 images have more than one frame: the first is taken, such as one/a.gif" in caplog.text
    assert "one/b.jpg has an orientation in EXIF: it is not turned" in caplog.text and "c.jpg" not in caplog.text
    for number, name in enumerate(pool.names):
        assert (pool.read(number) == np.asarray(pil_loader(tmp_path / name))).all()


@pytest.mark.fault("an image of mode {id}", "named and skipped")
@pytest.mark.parametrize("kind", ["F", "I"])
def test_values_without_a_range_are_refused(tmp_path: Path, kind: str) -> None:
    Image.new(kind, (5, 5)).save(tmp_path / "a.tif")
    for read in (images.open_image, images.header):
        with pytest.raises(
            UnusableImageError, match=rf"a.tif: not .* \(its mode is {kind}, whose values have no range"
        ):
            read(tmp_path / "a.tif")


@pytest.mark.fault("a damaged image ({id})", "named and skipped")
@pytest.mark.parametrize("suffix", ["png", "jpg", "ppm", "bmp", "tif", "webp", "gif", "jp2", "tga", "pcx", "avif"])
def test_a_damaged_file_is_named(tmp_path: Path, suffix: str) -> None:
    """Cut at many places and overwritten at many: what cannot be read is one error, whatever the decoder raises."""
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(3).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    whole, failures = path.read_bytes(), 0
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        for damaged in (whole[:place], whole[:place] + bytes([255, 0, 37]) + whole[place + 3 :]):
            path.write_bytes(damaged)
            try:
                assert images.read(path).dtype == np.uint8
            except UnusableImageError as error:
                assert f"a.{suffix}: not readable as an image (" in str(error)
                failures += 1
    assert failures > 30


@pytest.mark.fault("an image with a wrong checksum, or letters for numbers", "named and skipped")
def test_a_damaged_checksum_and_text_for_numbers(tmp_path: Path) -> None:
    save(tmp_path, "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    start = data.index(b"IDAT") + 4
    data[start + 20] ^= 255
    assert zlib.crc32(bytes(data[start - 4 : -16])) != int.from_bytes(data[-16:-12], "big")
    (tmp_path / "a.png").write_bytes(data)
    (tmp_path / "b.ppm").write_bytes(b"P3 2 2 255 one two three")
    for name in ("a.png", "b.ppm"):
        with pytest.raises(UnusableImageError, match=name):
            images.read(tmp_path / name)


@pytest.mark.fault("images of very many pixels", "read, or named as too large")
@pytest.mark.filterwarnings("error")
def test_large_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a thousandth of Pillow's limit: its warning starts there, its error at twice that."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    Image.new("RGB", (40, 40)).save(tmp_path / "large.png")
    Image.new("RGB", (50, 50)).save(tmp_path / "larger.png")
    assert images.read(tmp_path / "large.png").shape == (40, 40, 3)
    with pytest.raises(
        UnusableImageError, match=r"larger.png: too large \(.*2500 pixels.*\); make it smaller or remove"
    ):
        images.read(tmp_path / "larger.png")


def test_a_tree_is_read_as_torchvision_reads_it(
    tmp_path: Path, dataset_spec: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Suffixes in capitals, sub-folders, hidden folders apart."""
    save(tmp_path, "bee/1.PNG", "bee/2.JPEG", "bee/more/0.bmp", "ant/z/1.webp", "ant/a/9.tiff", "ant/5.ppm")
    theirs = ImageFolder(tmp_path)
    pool = open_pool(dataset_spec("imagefolder", root=str(tmp_path)), tmp_path)
    assert [str(file) for file in pool.files] == [file for file, _ in theirs.samples]
    assert pool.labels.tolist() == theirs.targets
    assert pool.verify() == []
    assert caplog.records == []


def test_formats_that_torchvision_leaves_out_are_read_and_others_named(
    tmp_path: Path, dataset_spec: Make, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path, *(f"bee/1.{suffix}" for suffix in ("gif", "jp2", "jfif", "avif", "tga", "png")), "lost.png")
    (tmp_path / "bee" / "boxes.txt").write_text("1 2 3 4")
    (tmp_path / "bee" / "2.heic").write_text("no codec")
    (tmp_path / "ant").mkdir()
    spec = dataset_spec("imagefolder", root=str(tmp_path))
    pool = open_pool(spec, tmp_path)
    assert pool_size(spec) == len(pool) == 6
    assert pool.labels.tolist() == [1] * 6  # an empty folder shifts no label
    assert pool.verify() == []
    said = [record.getMessage() for record in caplog.records]
    assert f"2 files are no images by their suffix and are not read, such as {tmp_path}/bee/2.heic" in said
    assert f"1 images are in no class's folder and are not read, such as {tmp_path}/lost.png" in said
    assert "class folders without an image, which keep their place among the classes: ant" in said
    assert "bee/1.gif has mode P: converted to RGB" in said


def test_what_systems_leave_behind_is_no_class(tmp_path: Path, dataset_spec: Make) -> None:
    save(tmp_path, "bee/1.png", "ant/1.png")
    for foreign in ("__MACOSX", "@eaDir", ".ipynb_checkpoints", "#recycle", "bee/@eaDir", "bee/.thumbs", "lost+found"):
        save(tmp_path, f"{foreign}/1.png")
    for file in ("bee/._1.png", "bee/Thumbs.db", ".DS_Store", "ant/.DS_Store", "ant/desktop.ini"):
        (tmp_path / file).write_bytes(b"\0")
    pool = open_pool(dataset_spec("imagefolder", root=str(tmp_path)), tmp_path)
    assert (pool.names, pool.labels.tolist(), pool.remarks) == (["ant/1.png", "bee/1.png"], [0, 1], [])


@pytest.mark.fault("links that lead in a circle", "followed once")
def test_links_are_followed_once(tmp_path: Path, dataset_spec: Make) -> None:
    save(tmp_path, "store/1.png", "tree/bee/2.png")
    (tmp_path / "tree" / "ant").symlink_to(tmp_path / "store")
    (tmp_path / "tree" / "bee" / "loop").symlink_to(tmp_path / "tree" / "bee")
    pool = open_pool(dataset_spec("imagefolder", root=str(tmp_path / "tree")), tmp_path)
    assert pool.names == ["ant/1.png", "bee/2.png"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("mark", ["utf-8", "utf-8-sig"])
def test_class_lists_of_another_system(tmp_path: Path, dataset_spec: Make, form: str, mark: str) -> None:
    names = ["blé", "grün", "Ångström", "한국"]
    composed = [unicodedata.normalize("NFC", name) for name in names]
    decomposed = [unicodedata.normalize("NFD", name) for name in names]
    assert composed != decomposed
    on_disk, listed = (decomposed, composed) if form == "NFC" else (composed, decomposed)
    for name in on_disk:
        save(tmp_path / "tree", f"{name}/1.png")
    text = "\r\n".join(listed)
    (tmp_path / "classes.txt").write_bytes(text.encode(mark))
    pool = open_pool(
        dataset_spec("imagefolder", root=str(tmp_path / "tree"), classes=str(tmp_path / "classes.txt")), tmp_path
    )
    assert [composed[label] for label in pool.labels] == [name.split("/")[0] for name in pool.names]
    assert sorted(pool.labels) == [0, 1, 2, 3]


def test_names_in_latin_1(tmp_path: Path, dataset_spec: Make) -> None:
    save(tmp_path / "tree", "a/1.png", "b/1.png")
    (tmp_path / "tree" / "a").rename(tmp_path / "tree" / os.fsdecode(b"bl\xe9"))
    green = (tmp_path / "tree" / "b" / "1.png").rename(tmp_path / "tree" / "b" / os.fsdecode(b"gr\xfcn.png"))
    (tmp_path / "classes.txt").write_text("b\nblé\n", encoding="utf-8")
    spec = dataset_spec("imagefolder", root=str(tmp_path / "tree"), classes=str(tmp_path / "classes.txt"))
    pool = open_pool(spec, tmp_path)
    assert sorted(zip(pool.names, pool.labels, strict=True)) == [("b/grün.png", 0), ("blé/1.png", 1)]
    shutil.copy(green, tmp_path / "tree" / "b" / "grün.png")
    with pytest.raises(EpsballError, match="two files have the name 'b/grün.png'; rename one"):
        open_pool(spec, tmp_path)


def test_a_list_tells_classes_whose_images_are_deeper(tmp_path: Path, dataset_spec: Make) -> None:
    save(tmp_path / "tree", "bee/day 1/1.png", "ant/day 1/2.png")
    with pytest.raises(EpsballError, match=r"no image is where it is looked for"):
        open_pool(dataset_spec("imagefolder", root=str(tmp_path / "tree")), tmp_path)
    (tmp_path / "classes.txt").write_text("bee\nant\n")
    spec = dataset_spec("imagefolder", root=str(tmp_path / "tree"), classes=str(tmp_path / "classes.txt"))
    assert open_pool(spec, tmp_path).labels.tolist() == [1, 0]


X, Y = pictures(6, 4)
ARRAYS = {
    "floats": ({"images": X / 255, "labels": Y}, r"float64 \(6, 4, 4, 3\), .*; save np.round\(255 \* images\).astype"),
    "channels first": ({"images": X.transpose(0, 3, 1, 2), "labels": Y}, r"; save images.transpose\(0, 2, 3, 1\)"),
    "grey": ({"images": X[..., 0], "labels": Y}, "; save np.repeat"),
    "one image": ({"images": X[0], "labels": Y[0]}, r"images are uint8 \(4, 4, 3\)"),
    "a scalar": ({"images": 3, "labels": 1}, r"images are int64 \(\)"),
    "text": ({"images": X.astype(str), "labels": Y}, "images are <U"),
    "objects": ({"images": np.array([*X, None], object)[:-1], "labels": Y}, "not readable as an .npz of plain arrays"),
    "one-hot": ({"images": X, "labels": np.eye(3)[Y]}, r"labels are float64 \(6, 3\), .*save labels.argmax\(1\)"),
    "column": ({"images": X, "labels": Y[:, None]}, r"save labels.ravel\(\)"),
    "names of classes": ({"images": X, "labels": np.array(["a", "b", "c"])[Y]}, "labels are <U1"),
    "labels below 0, unsigned": (
        {"images": X, "labels": Y.astype(np.uint64) - 1},
        "labels are up to 18446744073709551615",
    ),
    "float labels": ({"images": X, "labels": Y + 0.0}, "labels are float64"),
    "a label": ({"images": X, "labels": 1}, r"labels are int64 \(\)"),
    "truth values": ({"images": X, "labels": Y > 0}, "labels are bool"),
    "other names": (
        {"x_test": X, "y_test": Y},
        r"holds \['x_test', 'y_test'\], expected .*; images and labels",
    ),
    "too few labels": ({"images": X, "labels": Y[:-1]}, r"labels are int64 \(5,\), expected 6 integers"),
    "nothing": ({"images": X[:0], "labels": Y[:0]}, "no image was found"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_as_people_save_them(tmp_path: Path, dataset_spec: Make, name: str) -> None:
    arrays, sentence = ARRAYS[name]
    np.savez(tmp_path / "a.npz", **arrays)
    spec = dataset_spec(root=str(tmp_path / "a.npz"))
    with pytest.raises(EpsballError, match=sentence):
        open_pool(spec, tmp_path)
    assert isinstance(pool_size(spec), int)


@pytest.mark.fault("an .npy or something else under the name of an .npz", "a sentence with how to save it")
def test_files_that_are_no_archive_of_arrays(tmp_path: Path, dataset_spec: Make) -> None:
    np.savez_compressed(tmp_path / "whole.npz", images=X.repeat(50, 0), labels=Y.repeat(50))
    whole, path = (tmp_path / "whole.npz").read_bytes(), tmp_path / "a.npz"
    damaged = [whole[:place] for place in range(0, len(whole), len(whole) // 40)]
    damaged += [whole[:place] + bytes(40) + whole[place + 40 :] for place in range(0, len(whole), len(whole) // 40)]
    failures = 0
    for data in damaged:
        path.write_bytes(data)
        try:
            assert len(open_pool(dataset_spec(root=str(path)), tmp_path)) == 300
        except EpsballError as error:
            failures += 1
            assert "a.npz: " in str(error)
        assert isinstance(pool_size(dataset_spec(root=str(path))), int)
    assert failures > 60
    np.save(tmp_path / "a.npy", X)
    with pytest.raises(EpsballError, match=r"a.npy: not readable as an .npz .* \(it is a single array\); save it with"):
        open_pool(dataset_spec(root=str(tmp_path / "a.npy")), tmp_path)


@pytest.mark.fault(
    "a class folder without the right to read it", "a sentence: its images are not passed over in silence"
)
def test_a_folder_without_the_right_to_read_it(tmp_path: Path) -> None:
    (tmp_path / "ant").mkdir()
    (tmp_path / "ant").chmod(0)
    program = f"from pathlib import Path; from epsball.data import tree; list(tree.files(Path({str(tmp_path)!r})))"
    command = [*rights.plain(), sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (tmp_path / "ant").chmod(0o755)
    assert "PermissionError: [Errno 13] Permission denied" in done.stderr
