"""Datasets of the package `datasets`: by a name on the Hugging Face hub, or a local folder."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from epsball.config import DatasetSpec
from epsball.data import Pool, map_style
from epsball.errors import EpsballError, did_you_mean

TERMS = "those on the dataset's card"


class _Table:
    """A table with a column of images and one of labels, as a dataset of (image, label)."""

    def __init__(self, table: Any, image: str, label: str) -> None:
        self.table, self.image = table, image
        try:
            self.targets = np.asarray(table[label])
        except ValueError:
            raise EpsballError(f"label is '{label}', whose rows have several labels; name a column with one") from None
        self.classes = getattr(table.features[label], "names", None)

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, number: int) -> tuple[Any, Any]:
        return self.table[number][self.image], self.targets[number]


def _load(spec: DatasetSpec, split: str, download: bool) -> Any:
    try:
        datasets = importlib.import_module("datasets")
    except ModuleNotFoundError as error:
        raise EpsballError(
            f"kind 'huggingface' needs the package {error.name}; pip install 'epsball[huggingface]'"
        ) from None
    options, name = spec.options, spec.options["name"]
    folder = Path(name)
    saved = (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()
    if saved and "subset" in options:
        raise EpsballError(f"'{name}' is of save_to_disk, which keeps one subset; leave out subset")
    try:
        if saved:
            found = datasets.load_from_disk(name)
        else:
            config = datasets.DownloadConfig(local_files_only=not download)
            offline, datasets.config.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE, not download
            try:
                found = datasets.load_dataset(name, options.get("subset"), download_config=config)
            finally:
                datasets.config.HF_HUB_OFFLINE = offline
    except Exception as error:  # the package has many
        said = (str(error) or type(error).__name__).partition("\n")[0]
        hint = "" if folder.is_dir() or download else "; set download: true, or name a folder"
        raise EpsballError(f"'{name}' cannot be read by the package datasets ({said}){hint}") from None
    if not hasattr(found, "keys"):  # one split
        if split == "train":
            raise EpsballError(f"'{name}' has one split alone, so none to train on")
        if options.get("split", str(found.split)) != str(found.split):
            raise EpsballError(f"'{name}' has one split alone, {found.split}; leave out split")
        return found
    wanted = [options["split"]] if split == "test" and "split" in options else None
    for one in wanted or (map_style.TRAIN if split == "train" else map_style.TEST):
        if one in found:
            return found[one]
    raise EpsballError(f"'{name}' has the splits {', '.join(found)}; set split to the one to take samples from")


def _column(spec: DatasetSpec, table: Any, key: str, kind: str) -> str:
    """Return the name of the column of images or labels: what the configuration says, or the only one of its kind."""
    names = list(table.features)
    if (given := spec.options.get(key)) is not None:
        if given not in names:
            raise EpsballError(f"{key} is '{given}', no column; {did_you_mean(given, names)}")
        return str(given)
    found = [name for name in names if type(table.features[name]).__name__ == kind]
    if len(found) != 1:
        raise EpsballError(f"it has {len(found)} columns of type {kind}; set {key} to one of: {', '.join(names)}")
    return str(found[0])


def missing(spec: DatasetSpec) -> str | None:
    """See `epsball.data.missing`."""
    try:
        _load(spec, "test", download=False)
    except EpsballError as error:
        return str(error)
    return None


def download(spec: DatasetSpec) -> None:
    """Download into the package's cache."""
    _load(spec, "test", download=True)


def open_pool(spec: DatasetSpec, folder: Path, split: str) -> Pool:
    """See `epsball.data.open_pool`."""
    options, owner = spec.options, f"datasets.{spec.name}"
    try:
        table = _load(spec, split, download=False)
        image, label = _column(spec, table, "image", "Image"), _column(spec, table, "label", "ClassLabel")
        pairs = _Table(table, image, label)
    except EpsballError as error:
        raise EpsballError(f"{owner}: {error}") from None
    return map_style.pool(pairs, owner, split, options.get("resize"), options.get("crop"))
