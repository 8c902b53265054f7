"""A folder of images for each class, as in torchvision's ImageFolder and every ImageNet tree."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from epsball.config import DatasetSpec
from epsball.data import Pool, imagenet, images, tree
from epsball.errors import EpsballError, did_you_mean

TERMS = "those of your images"

POOL = 50_000  # images of ImageNet's validation tree, for a plan before there are any


def missing(spec: DatasetSpec) -> str | None:
    """See `epsball.data.missing`."""
    if not Path(root := spec.options["root"]).is_dir():
        return f"root is '{root}', no such folder; expected one folder a class in it"
    if "classes" in spec.options and not Path(classes := spec.options["classes"]).is_file():
        return f"classes is '{classes}', no such file; expected one class a line"
    return None


@functools.cache
def count(root: Path) -> int:
    """Count images on disk for plans, which ask often: trees may be large."""
    return len(Pool.of_tree(root, dict.fromkeys(tree.folders(root), 0), images.read))


def open_pool(spec: DatasetSpec, folder: Path, split: str) -> Pool:
    """See `epsball.data.open_pool`; a class is the index of its folder in the list of classes, or in sorted order."""
    root, options = Path(spec.options["root"]), spec.options
    outputs = {name: number for number, name in enumerate(tree.folders(root))}
    pool = Pool.of_tree(root, outputs, lambda file: images.read(file, options.get("resize"), options.get("crop")))
    listed = "classes" in options
    classes = _listed_classes(Path(options["classes"])) if listed else list(map(tree.readable, outputs))
    unlisted = [name for name in map(tree.readable, outputs) if name not in classes]
    elsewhere = [
        file for file in root.iterdir() if tree.is_image(file) and not tree.is_foreign(file.name) and not file.is_dir()
    ]
    deeper = [file for file in pool.files if file.parent.parent != root]
    # Where all are deeper, only a list tells classes from folders such as train and val.
    if (unlisted or not listed or not deeper) and len(deeper) == len(pool) and (lost := [*elsewhere, *deeper]):
        raise EpsballError(
            f"datasets.{spec.name}: no image is where it is looked for, {root}/<class>/<image>; one that is not: "
            f"'{tree.readable(lost[0])}'; change root, or make a folder for each class"
        )
    if not len(pool) and (instead := tree.other_files(root)) is not None:
        raise EpsballError(f"datasets.{spec.name}: no image was found: {instead}; convert them, or change root")
    if unlisted:
        raise EpsballError(
            f"{options['classes']}: does not list '{unlisted[0]}', a folder of {root}; "
            f"{did_you_mean(unlisted[0], classes)}"
        )
    remarks = [*pool.remarks, *_remarks(pool, list(outputs), elsewhere)]
    pool = replace(pool, class_names=imagenet.names(classes), remarks=remarks)
    if not listed:
        return pool
    labels = np.array([classes.index(tree.readable(name)) for name in outputs], dtype=np.int64)[pool.labels]
    return replace(pool, labels=labels, classes=len(classes))


def _remarks(pool: Pool, folders: Sequence[str], elsewhere: Sequence[Path]) -> Iterator[str]:
    if elsewhere:
        first = tree.readable(elsewhere[0])
        yield f"{len(elsewhere)} images are in no class's folder and are not read, such as {first}"
    present = set(pool.labels.tolist())
    if empty := [tree.readable(name) for number, name in enumerate(folders) if number not in present]:
        yield f"class folders without an image, which keep their place among the classes: {', '.join(empty)}"


def _listed_classes(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise EpsballError(f"{path}: is not text in UTF-8 ({error.reason}); save it so") from None
    classes = [tree.readable(line.strip()) for line in lines if line.strip()]
    if len(set(classes)) != len(classes):
        repeated = next(name for name in classes if classes.count(name) > 1)
        raise EpsballError(f"{path}: class '{repeated}' is listed more than once")
    return classes
