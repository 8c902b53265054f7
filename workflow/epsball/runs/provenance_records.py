"""Records of what made each file of a run."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from epsball.errors import EpsballError, did_you_mean
from epsball.runs import files, provenance

Versions = Mapping[str, Sequence[str]]  # of each package, by its name

_FOLDER = "provenance"  # in the folder of a run
_runs: set[Path] = set()  # folders of runs that were met


@dataclass(frozen=True)
class _Record:
    """What a record holds, to tell one that is whole; those of a moved run are not this version's alone."""

    file: str
    sha256: str
    rule: str
    wildcards: dict[str, str]
    made: str
    asked: dict[str, str]
    configuration: str
    inputs: dict[str, str]
    given: dict[str, str]
    versions: dict[str, str]
    made_with: dict[str, list[str]]
    fingerprint: Any = None
    stamp: list[int] | None = None
    again: _Record | None = None


def keep_configuration(run: Path, configuration: Mapping[str, Any]) -> None:
    """Save a configuration as given, named by its digest, which the records refer to."""
    path = configuration_path(run, provenance.digest(configuration))
    if path.is_file():
        path.touch()  # the newest file is the configuration of the last run
    else:
        plain = json.loads(json.dumps(configuration))  # Snakemake reads JSON into dictionaries of its own
        files.write_text(path, yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))


def last_configuration(run: Path) -> dict[str, Any]:
    """Return the configuration that a run was last started with, as it was given.

    Raises:
        EpsballError: the folder is not the folder of a run.
    """
    kept = configuration_path(run, "*")
    newest_first = sorted(kept.parent.glob(kept.name), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in newest_first:
        with contextlib.suppress(EpsballError):
            return given(path)
    if not newest_first:
        runs = [str(folder.parent) for folder in sorted(Path("results").glob(f"*/{_FOLDER}"))]
        raise EpsballError(f"'{run}' is no folder of a run, such as results/<run>; {did_you_mean(str(run), runs)}")
    return given(newest_first[0])


def record(
    outputs: Iterable[str],
    inputs: Mapping[Path, str],
    rule: str,
    wildcards: Mapping[str, str],
    fingerprint: object,
    versions: Mapping[str, str],
    configuration: Mapping[str, Any],
) -> None:
    """Write the record of each file that a job has made below ``results/<run>``, from inputs there or elsewhere.

    If a file is unchanged, its record is kept and what made it last is added, as `again`.

    Args:
        outputs: paths of the files.
        inputs: SHA-256 of what they were made from, by path.
        rule: name of the job's rule.
        wildcards: values of its wildcards.
        fingerprint: see `epsball.stages.fingerprints`.
        versions: what `epsball.runs.versions.asked` returned for the job; its keys are packages that decide numbers.
        configuration: as it was given.
    """
    here = provenance.versions()
    known: dict[Path, Versions] = {}
    for output in map(Path, outputs):
        run, made = run_of(output), files.digest(output)
        above = {path: digest for path, digest in inputs.items() if path.is_relative_to(run)}
        facts = {
            "file": str(output.relative_to(run)),
            "sha256": made,
            "stamp": files.stamp(output),
            "rule": rule,
            "wildcards": dict(wildcards),
            "made": f"{datetime.now():%Y-%m-%d %H:%M:%S}",
            "fingerprint": fingerprint,
            "asked": dict(versions),
            "configuration": provenance.digest(configuration),
            "inputs": {str(path.relative_to(run)): digest for path, digest in above.items()},
            "given": {str(path): digest for path, digest in inputs.items() if path not in above},
            "versions": dict(here),
            "made_with": _joined([_own(here, versions), *(made_with(path, known) for path in above)]),
        }
        if (before := read(output)) and before["sha256"] == made:
            facts = {**before, "again": facts}
        files.write_memory(_path(run, output), json.dumps(facts, indent=1) + "\n")


def made_with(file: Path, known: dict[Path, Versions] | None = None) -> Versions:
    """Return the versions of each package that have a part in a file of a run, by what its inputs are made with by now.

    A file that is made again and comes out the same makes nothing below it again, so this is not always what was
    recorded when the file was made.

    Args:
        file: the file.
        known: what was found before, of a run that has not changed since; it is added to.

    Returns:
        The versions of each package; none if nothing is recorded of the file.
    """
    known = {} if known is None else known
    if file not in known:
        known[file] = {}  # a record that is spoilt may lead in a circle
        facts = last(file)
        above = [run_of(file) / name for name in facts["inputs"]] if facts else []
        own = _own(facts["versions"], facts["asked"]) if facts else {}
        known[file] = _joined([own, *(made_with(path, known) for path in above)])
    return known[file]


def _own(versions: Mapping[str, str], deciding: Iterable[str]) -> Versions:
    """Return the versions that a job has, but for packages that decide other stages' numbers."""
    names = set(versions) - provenance.DECIDING | set(deciding)
    return {name: [versions[name]] for name in versions if name in names}


def _joined(parts: Iterable[Versions]) -> Versions:
    """Join the versions of each package, but for packages that were not installed."""
    found: dict[str, set[str]] = {}
    for part in parts:
        for name, versions in part.items():
            found.setdefault(name, set()).update(set(versions) - {provenance.NOT_INSTALLED})
    return {name: sorted(versions) for name, versions in found.items() if versions}


def read(file: Path) -> dict[str, Any]:
    """Return the record of a file; empty if it is of no run, or has none that can be read: it is only a memory."""
    try:
        path = _path(run_of(file), file)
    except EpsballError:
        return {}
    record = files.remembered(path, _Record)
    return {} if record is None else _plain(record)


def _plain(record: _Record) -> dict[str, Any]:
    # dataclasses.asdict copies all values, which takes most of the time of a start.
    return {**vars(record), "again": None if record.again is None else _plain(record.again)}


def last(file: Path) -> dict[str, Any]:
    """Return what is recorded of the last time that a file of a run was made; empty as for `read`."""
    facts = read(file)
    again: dict[str, Any] = facts.get("again") or facts
    return again


def recorded(run: Path) -> Iterator[Path]:
    """Yield the files of a run that have a record and are still there."""
    for path in sorted((run / _FOLDER).rglob("*.json")):
        file = run / path.relative_to(run / _FOLDER).with_suffix("")
        if file.is_file():
            yield file


def configuration(path: Path) -> dict[str, Any]:
    """Return the configuration that a file of a run was made with, as it was given.

    Raises:
        EpsballError: the path is not a file of a run, or the file has no record.
    """
    return given(configuration_path(run_of(path), require(path)["configuration"]))


def require(file: Path) -> dict[str, Any]:
    """Return the record of a file of a run.

    Raises:
        EpsballError: the path is not a file of a run, or the file has no record.
    """
    if not (facts := read(file)):
        raise EpsballError(f"nothing is recorded of '{file}'; tables, stores, figures and the report have records")
    return facts


def run_of(path: Path) -> Path:
    """Return the folder of the run that a file is in: one with records, or else the one directly below `results`.

    Raises:
        EpsballError: it is in none.
    """
    below = [folder for folder in path.parents if folder.parent.name == "results"]
    # A network may be called provenance, and a run results.
    for folder in [*below, *path.parents]:
        if folder in _runs or any((folder / _FOLDER).glob("configuration.*.yaml")):
            _runs.add(folder)
            return folder
    if below:
        return below[0]
    raise EpsballError(f"'{path}' is in no folder of a run; expected results/<run>/…")


def configuration_path(run: Path, digest: str) -> Path:
    """Return where the configuration of a digest is kept in the folder of a run."""
    return run / _FOLDER / f"configuration.{digest}.yaml"


def given(path: Path) -> dict[str, Any]:
    """Return a configuration that a run has kept, as it was given.

    Raises:
        EpsballError: it is missing or damaged.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        raw = None
    if not isinstance(raw, dict):
        raise EpsballError(f"'{path}', the configuration that a run kept, is missing or damaged; start the run again")
    return raw


def _path(run: Path, file: Path) -> Path:
    return run / _FOLDER / f"{file.relative_to(run)}.json"
