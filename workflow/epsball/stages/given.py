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
        """Return a digest of a network's weights, of its factory's code, and of what the factory reads by itself."""
        spec = self._config.networks[name]
        paths = [*sources.own_files(spec), *([Path(spec.weights)] if spec.weights else [])]
        return provenance.digest([self._contents.digest(path) for path in paths], self.since(name))

    def dataset(self, name: str) -> str:
        """Return a digest of a dataset's images, labels and class list."""
        return provenance.digest([self._contents.digest(path) for path in data.given(self._config.datasets[name])])

    def since(self, name: str) -> str:
        """See `epsball.networks.files_read.since`."""
        weights = self._config.folder / "networks" / name / "weights.safetensors"
        return files_read.since(weights, self._contents.digest)
