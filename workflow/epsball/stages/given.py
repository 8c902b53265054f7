"""What the user gave, by its content: it is part of the fingerprints of the stages that read it."""

from __future__ import annotations

import os
from pathlib import Path

from epsball import data
from epsball.config import Config
from epsball.networks import sources
from epsball.runs import files_read, provenance
from epsball.runs.contents import Contents


class Given:
    """Digests of the files behind the networks and datasets of a run.

    Args:
        config: configuration of the run.
        contents: digests of files.
    """

    def __init__(self, config: Config, contents: Contents) -> None:
        self._config, self._contents = config, contents

    def network(self, name: str) -> str:
        """Return a digest of a network's weights, its factory's code, files in `args`, and what the factory reads."""
        spec = self._config.networks[name]
        texts = [value for value in spec.args.values() if isinstance(value, str)]
        named = [Path(text) for text in texts if os.path.isfile(text)]  # noqa: PTH113 - a Path of a long text raises
        if not (own := sources.own_files(spec)):
            named.append(Path(spec.factory.partition(":")[2]))  # a file or folder for some sources, else nothing
        paths = [*own, *named, *([Path(spec.weights)] if spec.weights else [])]
        return provenance.digest([self._contents.digest(path) for path in paths], self.since("networks", name))

    def dataset(self, name: str) -> str:
        """Return a digest of a dataset's images, labels and class list, its factory's code, and what that reads."""
        paths = data.given(self._config.datasets[name])
        return provenance.digest([self._contents.digest(path) for path in paths], self.since("datasets", name))

    def code(self) -> list[Path]:
        """Return the files of the user's factories."""
        networks, datasets = self._config.networks.values(), self._config.datasets.values()
        return [path for spec in networks for path in sources.own_files(spec)] + [
            path for spec in datasets for path in data.own_files(spec)
        ]

    def since(self, kind: str, name: str) -> str:
        """See `epsball.runs.files_read.since`; the kind is "networks" or "datasets"."""
        return files_read.since(self._config.folder / kind / name, self._contents.digest)
