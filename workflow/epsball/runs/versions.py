"""Versions of the packages that decide numbers: those that made the files of a run, and those that are here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from epsball.errors import EpsballError
from epsball.runs import provenance, provenance_records

_CHOICES = {
    "stop": "a run that would compute more beside them stops; set other_versions: redo to make them again with these "
    "versions, or other_versions: mix to go on",
    "redo": "they are made again (other_versions: redo)",
    "mix": "they stay, and what is made beside them is of another version (other_versions: mix)",
}
_SHOWN = 4  # kinds of files that are named


def asked(file: Path, packages: Iterable[str], redo: bool) -> dict[str, str]:
    """Return the parameter by which Snakemake notices that a job's files are to be made with other versions.

    It stays what it was when the file was made, whatever is installed since, but where that is to be made again.

    Args:
        file: a file that the job makes.
        packages: names of the packages whose versions decide its numbers.
        redo: whether what other versions made is made again.

    Returns:
        The version of each package.
    """
    here, facts = provenance.versions(), provenance_records.last(file)
    kept, made = facts.get("asked", {}), facts.get("versions", {})
    return {
        name: here[name] if redo and _differ(made.get(name), here[name]) else kept.get(name, here[name])
        for name in sorted(packages)
    }


def _differ(made: str | None, here: str) -> bool:
    """Return whether two versions of a package can have given different numbers: one that is not there gave none."""
    return made is not None and made != here and provenance.NOT_INSTALLED not in (made, here)


@dataclass(frozen=True)
class Other:
    """A version of a package that is not the one installed, and the files of a run that it made."""

    package: str
    made: str  # the version that made them
    here: str  # the version that is installed
    files: tuple[str, ...]  # in the run's folder

    def __str__(self) -> str:
        kinds = list(dict.fromkeys(name.partition("/")[0] for name in self.files))
        more = ", …" if len(kinds) > _SHOWN else ""
        count = f"{len(self.files)} {'file' if len(self.files) == 1 else 'files'}"
        return (
            f"{count} ({', '.join(kinds[:_SHOWN])}{more}; such as {self.files[0]}) made with {self.package} "
            f"{self.made}, and this is {self.package} {self.here}"
        )


def others(run: Path, names: Mapping[str, Collection[str]]) -> list[Other]:
    """Return which versions that are not here had a part in the files of a run that are there.

    Args:
        run: folder of the run.
        names: names of the run's networks and datasets, as "network" and "dataset": files of any other do not count.
    """
    here = provenance.versions()
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    known: dict[Path, provenance_records.Versions] = {}
    for file in provenance_records.recorded(run):
        facts = provenance_records.last(file)
        if not _is_of(facts.get("wildcards", {}), names):
            continue
        for package, versions in provenance_records.made_with(file, known).items():
            for version in versions:
                if package in provenance.DECIDING and _differ(version, here[package]):
                    found[package, version].append(str(file.relative_to(run)))
    return [Other(name, made, here[name], tuple(paths)) for (name, made), paths in sorted(found.items())]


def among(run: Path, found: Iterable[Other], counts: Callable[[str], bool]) -> list[Other]:
    """Return of `others` in a run's folder what they made of the files that count, by their paths."""
    kept = (replace(other, files=tuple(name for name in other.files if counts(str(run / name)))) for other in found)
    return [other for other in kept if other.files]


def _is_of(wildcards: Mapping[str, str], names: Mapping[str, Collection[str]]) -> bool:
    return all(wildcards[kind] in known for kind, known in names.items() if kind in wildcards)


def remarks(found: Iterable[Other], choice: str) -> Iterator[str]:
    """Yield, for each version that is not here, what it made and what follows of the key `other_versions`."""
    for other in found:
        yield f"Other versions: {other}: {_CHOICES[choice]}."


def require_one(run: Path, found: Iterable[Other], packages: Collection[str]) -> None:
    """Check that what a run is about to compute stands beside nothing that another version made.

    Args:
        run: folder of the run.
        found: the versions that are not here, of what stays in the folder.
        packages: names of the packages that decide what is about to be computed.

    Raises:
        EpsballError: it does; the message has a line for each package and version.
    """
    if mixing := [other for other in found if other.package in packages]:
        raise EpsballError(
            "\n".join(
                f"{run}: {other}, so that what this run computes would be of another version; set other_versions: redo "
                f"to make them again, or mix to go on with both, which the report will say, or install "
                f"{other.package} {other.made}"
                for other in mixing
            )
        )


def mixture(made: provenance_records.Versions) -> str:
    """Return the packages that decide numbers of which there is more than one version, in words; empty if none."""
    several = {name: each for name, each in made.items() if name in provenance.DECIDING and len(each) > 1}
    return ", ".join(f"{name} {' and '.join(each)}" for name, each in several.items())
