"""What the user gave, by its content: it is part of the fingerprints of the stages that read it."""

from __future__ import annotations

from pathlib import Path

from epsball import data
from epsball.config import Config
from epsball.networks import files_read, sources
from epsball.runs import provenance
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
        named = [Path(value) for value in spec.args.values() if isinstance(value, str) and Path(value).is_file()]
        if not (own := sources.own_files(spec)):
            named.append(Path(spec.factory.partition(":")[2]))  # a file or folder for some sources, else nothing
        paths = [*own, *named, *([Path(spec.weights)] if spec.weights else [])]
        return provenance.digest([self._contents.digest(path) for path in paths], self.since(name))

    def dataset(self, name: str) -> str:
        """Return a digest of a dataset's images, labels and class list."""
        return provenance.digest([self._contents.digest(path) for path in data.given(self._config.datasets[name])])

    def since(self, name: str) -> str:
        """See `epsball.networks.files_read.since`."""
        weights = self._config.folder / "networks" / name / "weights.safetensors"
        return files_read.since(weights, self._contents.digest)
