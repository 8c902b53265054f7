"""Sweeps: all combinations of the levels of some factors, such as architecture, training and seed, as networks."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from epsball.errors import did_you_mean


@dataclass(frozen=True)
class Expanded:
    """A configuration whose sweeps are written out.

    Attributes:
        raw: the configuration, with the networks of its sweeps among its networks; where a sweep has another form than
            it should, as it was given.
        mistakes: what contradicts itself in its sweeps.
        networks: names of the networks that are of a sweep.
    """

    raw: dict[str, Any]
    mistakes: list[str] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)

    def condensed(self, mistakes: Iterable[str]) -> Iterator[str]:
        """Yield mistakes; of one that networks of a sweep share, the first, with how many networks have it."""
        names = "|".join(map(re.escape, sorted(self.networks, key=len, reverse=True)))
        pattern = re.compile(rf"\bnetworks\.({names})(?=[. ;]|$)") if names else None
        shared: dict[str, list[str]] = {}
        for mistake in mistakes:
            shared.setdefault(pattern.sub("networks.*", mistake) if pattern else mistake, []).append(mistake)
        for alike in shared.values():
            yield alike[0] + (f" (so for {len(alike)} networks)" if len(alike) > 1 else "")


def expand(raw: Mapping[str, Any]) -> Expanded:
    """Write out the sweeps of a configuration.

    A network has the keys of `common` and those of a level of each factor; what is below `training` and `args` is
    joined key by key. It is called by its levels, joined with a dash, and has them in `factors`.
    """
    found = Expanded(dict(raw))
    sweeps = raw.get("sweeps")
    if not isinstance(sweeps, Mapping) or not isinstance(raw.get("networks", {}), Mapping):
        return found
    networks = dict(raw.get("networks", {}))
    for name, sweep in sweeps.items():
        if not _has_form(sweep):
            return found
        for network, entry in _networks(f"sweeps.{name}", sweep, found.mistakes):
            if network in networks:
                found.mistakes.append(f"sweeps.{name} has network '{network}', which there is already; rename a level")
            networks[network] = entry
            found.networks.append(network)
    found.raw["networks"] = networks
    return found


def _has_form(sweep: Any) -> bool:
    """Return whether a sweep is of mappings where it should be; pydantic says what is wrong with one that is not."""
    if not isinstance(sweep, Mapping) or not isinstance(sweep.get("common", {}), Mapping):
        return False
    factors, exclude = sweep.get("factors"), sweep.get("exclude", [])
    if not isinstance(factors, Mapping) or not isinstance(exclude, list):
        return False
    levels = all(
        isinstance(levels, Mapping)
        and all(isinstance(level, str) and isinstance(keys, Mapping) for level, keys in levels.items())
        for levels in factors.values()
    )
    return levels and all(isinstance(one, Mapping) for one in exclude)


def _networks(place: str, sweep: Mapping[str, Any], mistakes: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and keys of each network of a sweep, and add what is wrong with it to the mistakes."""
    factors: Mapping[str, Mapping[str, Any]] = sweep["factors"]
    exclude = [{factor: _listed(levels) for factor, levels in one.items()} for one in sweep.get("exclude", [])]
    mistakes += _unknown(place, factors, exclude)
    combinations = [
        chosen
        for chosen in (dict(zip(factors, levels, strict=True)) for levels in itertools.product(*factors.values()))
        if not any(one and all(chosen.get(factor) in some for factor, some in one.items()) for one in exclude)
    ]
    if not combinations and factors and all(factors.values()):
        mistakes.append(f"{place} has no network: exclude leaves nothing; leave out less")
    contradictions: dict[str, None] = {}
    for chosen in combinations:
        entry: dict[str, Any] = copy.deepcopy(dict(sweep.get("common", {})))
        owners: dict[str, str] = {}
        for factor, level in chosen.items():
            _join(entry, factors[factor][level], factor, owners, contradictions)
        yield "-".join(chosen.values()), {**entry, "factors": chosen}
    mistakes += [f"{place}: {contradiction}" for contradiction in contradictions]


def _join(
    entry: dict[str, Any],
    keys: Mapping[str, Any],
    factor: str,
    owners: dict[str, str],
    contradictions: dict[str, None],
    above: str = "",
) -> None:
    """Put the keys of a factor's level into a network's; those of `common` give way, those of another factor do not."""
    for key, value in keys.items():
        place = f"{above}{key}"
        inner = entry.get(key)
        if isinstance(value, Mapping) and (inner is None or isinstance(inner, Mapping)):
            entry[key] = dict(inner or {})
            _join(entry[key], value, factor, owners, contradictions, f"{place}.")
        else:
            if (other := owners.setdefault(place, factor)) != factor:
                contradictions[f"factors {other} and {factor} both set {place}; leave it to one of them"] = None
            entry[key] = copy.deepcopy(value)


def _unknown(
    place: str, factors: Mapping[str, Mapping[str, Any]], exclude: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """Say which factors and levels are to be left out that there are not."""
    for factor, levels in ((factor, levels) for one in exclude for factor, levels in one.items()):
        if factor not in factors:
            yield f"{place}.exclude has '{factor}', no factor of this sweep; {did_you_mean(str(factor), factors)}"
            continue
        for level in levels:
            if level not in factors[factor]:
                hint = did_you_mean(str(level), factors[factor])
                yield f"{place}.exclude has '{level}', no level of {factor}; {hint}"


def _listed(levels: Any) -> list[Any]:
    return levels if isinstance(levels, list) else [levels]
