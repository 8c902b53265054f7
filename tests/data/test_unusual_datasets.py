"""What factories return, and what image folders hold, beside what is meant for them: it works, or is told."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from epsball.config import DatasetSpec
from epsball.data import Pool, map_style, open_pool
from epsball.errors import EpsballError
from PIL import Image
from support.toys import ROOT, pictures
from torchvision import datasets as theirs
from torchvision.transforms import v2

Make = Callable[..., DatasetSpec]

X, Y = pictures(6, 5)
HOT = np.eye(3)[Y]
PAIRS = list(zip(X, Y.tolist(), strict=True))
ORDER = [3, 0, 5, 1, 4, 2]


class Entries:
    """A dataset of these entries; an exception among them is raised when it is read."""

    def __init__(self, entries: list[Any], **kept: Any) -> None:
        self.entries = entries
        self.__dict__.update(kept)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, number: int) -> Any:
        if isinstance(self.entries[number], Exception):
            raise self.entries[number]
        return self.entries[number]


class WithoutLength(Entries):
    def __init__(self, length: Any) -> None:
        super().__init__(PAIRS)
        self.length = length

    def __len__(self) -> int:
        if isinstance(self.length, BaseException):
            raise self.length
        return self.length  # type: ignore[no-any-return]


def made(found: Any, split: str = "test") -> Pool:
    return map_style.pool(found, "it", split, None, None)


WORK = {
    "one-hot entries, targets": Entries(list(zip(X, HOT, strict=True)), targets=Y.tolist()),
    "one-hot tensors, targets": Entries([(x, torch.tensor(hot)) for x, hot in zip(X, HOT, strict=True)], targets=Y),
    "lists of one, targets": Entries([(x, [y]) for x, y in PAIRS], targets=Y),
    "samples of paths": Entries(PAIRS, samples=[Path(f"{number}.png") for number in range(6)]),
    "samples of dictionaries": Entries(PAIRS, samples=[{"image": x} for x in X]),
    "samples of integers": Entries(PAIRS, samples=list(range(6))),
    "targets of several lengths": Entries(PAIRS, targets=[[1], [1, 2], [], [1], [1], [1]]),
    "y without dimensions": Entries(PAIRS, y=torch.tensor(3), labels=np.array(2)),
    "a dictionary": {"images": X, "labels": Y},
    "a number of classes": Entries(PAIRS, classes=3),
    "names of classes": Entries(PAIRS, classes=["a", "b", "c"]),
    "names of classes, several for one": Entries(PAIRS, classes=[("a", "also a"), ("b",), ("c",)]),
    "a method for classes": Entries(PAIRS, classes=Y.tolist),
    "columns of pandas in another order": (pd.Series(list(X), index=ORDER), pd.Series(Y, index=ORDER)),
    "rows of pandas with letters": (X, pd.Series(Y, index=list("abcdef"))),
    "labels before their transform": Entries(PAIRS, targets=(Y + 1) % 3, target_transform=lambda y: (y - 1) % 3),
}


@pytest.mark.parametrize("name", WORK)
def test_what_works(name: str) -> None:
    pool = made(WORK[name])
    assert pool.labels.tolist() == Y.tolist()
    assert all((pool.read(number) == X[number]).all() for number in range(6))
    assert pool.classes == (3 if "classes" in name and "method" not in name else None)
    assert pool.class_names == (["a", "b", "c"] if "names" in name else None)


@pytest.mark.parametrize("entries", [PAIRS[:2], [(x, torch.tensor(y)) for x, y in PAIRS[:2]]])
def test_a_list_of_two_entries_is_no_pair_of_images_and_labels(entries: list[Any]) -> None:
    assert made(entries).labels.tolist() == Y[:2].tolist()
    images, labels = zip(*entries, strict=True)
    for two in ((list(images), labels), ([Image.fromarray(x) for x in images], list(labels))):
        assert made(two).labels.tolist() == Y[:2].tolist()


REFUSED = {
    "one-hot labels": ((X, HOT), r"it: labels are float64 \(6, 3\), expected 6 integers.*argmax"),
    "captions": (Entries([(x, ["a bee", "an ant"]) for x in X]), r"it: labels are <U6 \(6, 2\), expected 6 integers"),
    "boxes": (
        Entries([(x, {"box": [1, 2]}) for x in X], targets=Y),
        r"it: labels are object \(6,\), expected 6 integers",
    ),
    "labels of several shapes": (Entries([(x, [1] * n) for n, x in enumerate(X)]), "it: labels have several shapes"),
    "two datasets": ((Entries(PAIRS), Entries(PAIRS[:4])), "it is two datasets, expected one; give the factory a para"),
    "two pairs of arrays": (((X, Y), (X[:4], Y[:4])), "it is two datasets, expected one"),
    "two lists of two": ((PAIRS[:2], PAIRS[2:4]), "it is two datasets, expected one"),
    "datasets by split": ({"train": PAIRS, "test": PAIRS}, "it is a dict of 'train', 'test', expected 'images' and"),
    "no labels": ((X, None), "it for labels is a NoneType, expected images and labels"),
    "labels without dimensions": ((X, torch.tensor(1)), "it for labels is a Tensor without a length"),
    "a length that fails": (WithoutLength(TypeError("unknown")), r"it is a WithoutLength without a length \(unknown\)"),
    "a length of 6.0": (WithoutLength(6.0), r"it is a WithoutLength without a length \('float' object"),
    "a length below 0": (WithoutLength(-1), "it is a WithoutLength without a length"),
    "nothing readable": (Entries([OSError("gone")] * 3), "it: none of 3 entries can be read; the first: OSError: gone"),
    "no labels yet": (
        Entries([(x, None) for x in X]),
        r"labels are object \(6,\), .*; of a split without labels, set ",
    ),
    "fewer labels": ((X, Y[:4]), "it has 6 images and 4 labels, expected as many of both"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    found, sentence = REFUSED[name]
    with pytest.raises(EpsballError, match=sentence):
        made(found)


def test_an_entry_whose_label_cannot_be_read_is_left_out() -> None:
    damaged = [OSError("truncated") if number == 2 else entry for number, entry in enumerate(PAIRS)]
    pool = made(Entries(damaged))
    assert (pool.names, pool.labels.tolist()) == (["0", "1", "3", "4", "5"], np.delete(Y, 2).tolist())
    assert all((pool.read(place) == x).all() for place, x in enumerate(np.delete(X, 2, 0)))
    assert pool.remarks == [
        "it: 1 images cannot be read, so that their labels are unknown, and are left out, such as image 2 "
        "(OSError: truncated)"
    ]
    assert len(made(Entries(damaged, targets=Y))) == 6  # it is skipped when it is read


def test_a_few_unusable_images_are_named_and_the_others_counted(caplog: pytest.LogCaptureFixture) -> None:
    pool = made((np.full((40, 5, 5, 3), np.nan), np.arange(40)))
    with pytest.raises(EpsballError, match="none of 40 images can be used; the first: it: image 0 has values that are"):
        list(pool.batches(2))
    said = [record.getMessage() for record in caplog.records]
    assert [sentence.partition(" has ")[0] for sentence in said] == [
        *(f"skipped it: image {number}" for number in range(5)),
        "skipped 35 more of 40 images",
    ]


def test_one_image_beyond_the_range_tells_of_a_normalisation_that_others_hide() -> None:
    images = np.full((6, 5, 5, 3), 0.5)
    images[4, 0, 0] = 1.5
    with pytest.raises(EpsballError, match="it: image 4 has values from 0.5 to 1.5, expected 0 to 1; leave out the da"):
        made((images, Y))
    later = made((np.full((40, 5, 5, 3), 0.5), np.zeros(40, int)))
    assert len(list(later.batches(40))) == 1
    images = np.full((40, 5, 5, 3), 0.5)
    images[1, 0, 0] = 1.0000001  # not among those that are looked at first
    with pytest.raises(EpsballError, match="it: image 1 has values from 0.5 to 1.0000001, expected 0 to 1; .* or clip"):
        list(made((images, np.zeros(40, int))).batches(40))


def test_a_label_that_is_not_its_entrys_is_told_when_the_image_is_read() -> None:
    entries = [(np.full((5, 5, 3), number, np.uint8), number % 3) for number in range(40)]
    kept = [label for _, label in entries]
    kept[1] = 2
    pool = made(Entries(entries, targets=kept))
    with pytest.raises(EpsballError, match="it: entry 1 has label 1, expected 2 as in targets; return torch.utils.dat"):
        list(pool.batches(40))
    whole = made(torch.utils.data.Subset(Entries(entries, targets=kept), range(40)))  # type: ignore[arg-type]
    assert whole.labels.tolist() == [label for _, label in entries]


class Meddling(Entries):
    """A dataset whose later entries do something to the process."""

    def __init__(self, meddle: Callable[[], object]) -> None:
        super().__init__([(np.full((5, 5, 3), number, np.uint8), number % 3) for number in range(40)])
        self.targets, self.meddle = [label for _, label in self.entries], meddle

    def __getitem__(self, number: int) -> Any:
        if number == 1:
            self.meddle()
        return self.entries[number]


@pytest.mark.parametrize("code", [0, None, "text", 3])
def test_a_dataset_that_ends_the_program(code: Any) -> None:
    pool = made(Meddling(lambda: sys.exit(code)))
    with pytest.raises(EpsballError, match=rf"it: image 1 ends the program \(exit code {code}\), as sys.exit"):
        list(pool.batches(40))
    with pytest.raises(EpsballError, match="it ends the program"):
        made(WithoutLength(SystemExit(code)))


def test_what_a_dataset_sets_for_the_process_is_put_back(tmp_path: Path) -> None:
    folder = Path.cwd()

    def meddle() -> None:
        os.chdir(tmp_path)
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")

    list(made(Meddling(meddle)).batches(40))
    assert Path.cwd() == folder
    assert (torch.zeros(1).dtype, torch.zeros(1).device.type) == (torch.float32, "cpu")


TRANSFORMS = [v2.RandomHorizontalFlip(), v2.RandomCrop(4), v2.ColorJitter(0.5), v2.GaussianNoise()]


@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda transform: type(transform).__name__)
def test_random_transforms_are_refused_where_samples_are_taken_from(transform: Any) -> None:
    transform = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), transform])
    found = theirs.FakeData(20, (3, 5, 5), 3, transform)
    with pytest.raises(EpsballError, match="it: image .* has other pixels each time .* random transforms such as"):
        made(found)
    assert len(made(found, "train")) == 20


def test_transforms_that_are_fixed_are_none_of_them() -> None:
    transform = v2.Compose([v2.CenterCrop(4), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    found = theirs.FakeData(20, (3, 5, 5), 3, transform)
    pool = made(found)
    assert all((pool.read(number) == found[number][0].permute(1, 2, 0).numpy()).all() for number in range(20))


class Buffered(Entries):
    """A dataset that returns the same array each time, and overwrites it."""

    held = np.empty_like(X[0])

    def __getitem__(self, number: int) -> Any:
        self.held[:] = X[number]
        return self.held, int(Y[number])


def test_an_array_that_is_overwritten_is_read_in_time() -> None:
    (_, pictures), *rest = made(Buffered(PAIRS)).batches(len(X))
    assert not rest
    assert (pictures == X).all()


class Noisy(Entries):
    def __getitem__(self, number: int) -> Any:
        return np.random.default_rng().random((5, 5, 3)), int(Y[number])


TOLD = {
    "image 0 has other pixels each time that it is read, as with random transforms such as RandomHorizontalFlip; …": (
        Noisy(PAIRS)
    ),
    "what the factory returned is two datasets, expected one; …": (PAIRS, PAIRS),
    "what the factory returned is a dict of 'x', 'y', expected 'images' and 'labels' in it": {"x": X, "y": Y},
    "labels are float64 (6, 3), expected 6 integers, one for each image; …": (X, HOT),
}


@pytest.mark.parametrize("sentence", TOLD)
def test_the_page_on_errors_has_these(sentence: str) -> None:
    assert f"`{sentence}`" in (ROOT / "docs" / "howto" / "errors.md").read_text(encoding="utf-8")
    with pytest.raises(EpsballError, match=re.escape(sentence.removesuffix(" …"))):
        map_style.pool(TOLD[sentence], "datasets.mine: what the factory returned", "test", None, None)


@pytest.mark.parametrize("place", ["tree/ant", "tree"])
def test_other_files_are_told_where_there_is_no_image(tmp_path: Path, dataset_spec: Make, place: str) -> None:
    (tmp_path / "tree" / "ant").mkdir(parents=True)
    for name in ("1.heic", "2.HEIC", "scan.pdf", "3"):
        (tmp_path / place / name).write_bytes(b"\0")
    sentence = (
        r"no image was found: .*/tree has only other files \(2 .heic, 1 .*, 1 .*\); expected "
        r".bmp, .gif, .jpeg, .jpg, .png, .*, or what else Pillow reads; convert them, or change root"
    )
    with pytest.raises(EpsballError, match=sentence):
        open_pool(dataset_spec("imagefolder", root=str(tmp_path / "tree")), tmp_path)


@pytest.mark.fault("pipes, sockets and folders under the names of images", "named, and not waited for")
def test_only_regular_files_are_images(tmp_path: Path, dataset_spec: Make, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "ant.png").mkdir()
    Image.fromarray(X[0]).save(tmp_path / "ant.png" / "1.png")
    os.mkfifo(tmp_path / "ant.png" / "x.png")
    pool = open_pool(dataset_spec("imagefolder", root=str(tmp_path)), tmp_path)
    assert pool.remarks == []  # a folder with the suffix of an image is no image
    (complaint,) = pool.verify()
    assert "ant.png/x.png: not readable as an image (it is a pipe, a socket or a device, no regular file)" in complaint
    assert [numbers for numbers, _ in pool.batches(2)] == [[0]]


@pytest.mark.parametrize(("kind", "key"), [("arrays", "root"), ("factory", "factory")])
def test_an_empty_dataset_names_what_to_check(
    tmp_path: Path, dataset_spec: Make, monkeypatch: pytest.MonkeyPatch, kind: str, key: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.py").write_text("def make():\n    return [], []\n")
    np.savez("a.npz", images=X[:0], labels=Y[:0])
    given = {"root": "a.npz"} if kind == "arrays" else {"factory": "empty.py:make", "args": {}}
    with pytest.raises(EpsballError, match=f"datasets.mine: no image was found; check its {key}$"):
        open_pool(dataset_spec(kind, **given), tmp_path)
