"""Which datasets have networks enough to ask what goes with adversarial distance from one to another."""

from __future__ import annotations

from epsball.config import Config
from epsball.probes import chosen_probes

#: What has to be measured of a network for it to count.
NEEDED = ("boundary", "gradient")

FEWEST = 10  # networks: the interval of a correlation of fewer says next to nothing


def studied(config: Config) -> list[str]:
    """Return the datasets that have enough networks of which the probes of `NEEDED` are asked."""
    asked = {name: set(NEEDED) <= set(chosen_probes(config, name)) for name in config.networks}
    counts = {name: sum(asked[spec.name] for spec in config.networks_of(name)) for name in config.datasets}
    return [name for name, count in counts.items() if count >= FEWEST]
