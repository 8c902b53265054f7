"""Records of what made each file of a run, and the chain of them back to weights and data."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from epsball.errors import EpsballError, did_you_mean
from epsball.runs import files, provenance

_FOLDER = "provenance"  # in the folder of a run
_LISTED = 6  # most inputs that are listed one by one


def keep_configuration(run: Path, configuration: Mapping[str, Any]) -> None:
    """Save a configuration as given, named by its digest, which the records refer to."""
    path = _configuration_path(run, provenance.digest(configuration))
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
    kept = _configuration_path(run, "*")
    newest = max(kept.parent.glob(kept.name), key=lambda path: path.stat().st_mtime_ns, default=None)
    if newest is None:
        runs = [str(folder.parent) for folder in sorted(Path("results").glob(f"*/{_FOLDER}"))]
        raise EpsballError(f"'{run}' is no folder of a run, such as results/<run>; {did_you_mean(str(run), runs)}")
    return _given(newest)


def record(
    outputs: Iterable[str], inputs: Iterable[str], rule: str, fingerprint: object, configuration: Mapping[str, Any]
) -> None:
    """Write the record of each file that a job has made below ``results/<run>``, from inputs there or elsewhere.

    If a file is unchanged, its record is kept and only the new time is added, as `again`.
    """
    for output in map(Path, outputs):
        run, digest = _run(output), file_digest(output)
        path = _path(run, output)
        sources = sorted(set(map(Path, inputs)))
        facts = {
            "file": str(output.relative_to(run)),
            "sha256": digest,
            "rule": rule,
            "made": f"{datetime.now():%Y-%m-%d %H:%M:%S}",
            "fingerprint": fingerprint,
            "configuration": provenance.digest(configuration),
            "inputs": {str(path.relative_to(run)): file_digest(path) for path in sources if path.is_relative_to(run)},
            "given": {str(path): file_digest(path) for path in sources if not path.is_relative_to(run)},
            "versions": provenance.versions(),
        }
        if path.is_file() and (before := _read(path))["sha256"] == digest:
            facts = {**before, "again": facts["made"]}
        files.write_text(path, json.dumps(facts, indent=1) + "\n")


def configuration(path: Path) -> dict[str, Any]:
    """Return the configuration that a file of a run was made with, as it was given.

    Raises:
        EpsballError: the path is not a file of a run, or the file has no record.
    """
    return _given(_configuration_path(_run(path), _record_of(path)["configuration"]))


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def explain(path: Path) -> Iterator[str]:
    """Yield a few lines about what made a file of a run, back to configuration, code, weights and data.

    Raises:
        EpsballError: the path is not a file of a run, or the file has no record.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise EpsballError(f"'{path}' {what}; expected a file of a run, such as results/<run>/claims.tsv")
    run = _run(path)
    facts = _record_of(path)
    same = file_digest(path) == facts["sha256"]
    chain = {facts["file"]: facts}
    waiting = list(facts["inputs"])
    while waiting:
        name = waiting.pop()
        if name not in chain and (place := _path(run, run / name)).is_file():
            chain[name] = _read(place)
            waiting += chain[name]["inputs"]
    yield str(path)
    again = f"; made again, the same, {facts['again']}" if "again" in facts else ""
    yield f"made           {facts['made']} by rule {facts['rule']}{again}"
    yield f"content        SHA-256 {facts['sha256'][:16]}, {'as recorded' if same else 'CHANGED since it was made'}"
    yield f"configuration  {_configuration_path(run, facts['configuration'])}"
    yield f"fingerprint    {facts['fingerprint']}"
    yield "versions       " + ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    states = {name: _state(run, name, digest) for name, digest in facts["inputs"].items()}
    if len(states) > _LISTED:
        places = sorted({"".join(name.partition("/")[:2]) for name in states})
        yield f"made from      {len(states)} files in {', '.join(places)}"
    yield from (f"made from      {name}{state}" for name, state in states.items() if state or len(states) <= _LISTED)
    chain = {facts["file"]: facts, **dict(sorted(chain.items()))}
    for name, entry in chain.items():
        if name.endswith("weights.safetensors"):
            yield f"weights        {name}, SHA-256 {entry['sha256'][:16]}"
    surveys = {Path(name).parent.name: run / name for name in chain if name.startswith("survey/")}
    for dataset, survey in surveys.items():
        digests = pd.read_parquet(survey, columns=["digest"])["digest"].tolist()
        yield f"data           {dataset}, {len(digests)} images, digest of their pixels {provenance.digest(*digests)}"
    given = {name: digest for entry in chain.values() for name, digest in entry["given"].items()}
    yield from (f"given          {name}, SHA-256 {digest[:16]}" for name, digest in given.items())


def other_versions(run: Path) -> Iterator[str]:
    """Yield a sentence for each package whose version is not the one that a file of the run was made with.

    Snakemake does not notice that: it makes nothing again, and new files would stand beside old ones.
    """
    now = provenance.versions()
    files_of: Counter[tuple[str, str]] = Counter()
    for path in (run / _FOLDER).rglob("*.json"):
        try:
            versions = _read(path)["versions"]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a record is only a memory: one that cannot be read stops no run
        for name, version in versions.items():
            if name in provenance.DECIDING and version != now.get(name):
                files_of[name, version] += 1
    for (name, version), count in sorted(files_of.items()):
        yield (
            f"{count} files of '{run}' were made with {name} {version}, and this is {now[name]}: they stay, and "
            "numbers may round otherwise beside them; for numbers of one version set another 'run' or remove it"
        )


def _state(run: Path, name: str, digest: str) -> str:
    """Return what has become of an input since; empty if it is unchanged."""
    path = run / name
    if not path.is_file():
        return ", which is not there any more"
    return "" if file_digest(path) == digest else ", which is another one by now"


def _run(path: Path) -> Path:
    """Return the folder of the run that a file is in: the one directly below `results`, or one with records."""
    for folder in path.parents:
        if folder.parent.name == "results" or (folder / _FOLDER).is_dir():
            return folder
    raise EpsballError(f"'{path}' is in no folder of a run; expected results/<run>/…")


def _configuration_path(run: Path, digest: str) -> Path:
    return run / _FOLDER / f"configuration.{digest}.yaml"


def _given(path: Path) -> dict[str, Any]:
    given: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return given


def _record_of(file: Path) -> dict[str, Any]:
    if not (kept := _path(_run(file), file)).is_file():
        raise EpsballError(f"nothing is recorded of '{file}'; tables, stores, figures and the report have records")
    return _read(kept)


def _path(run: Path, file: Path) -> Path:
    return run / _FOLDER / f"{file.relative_to(run)}.json"


def _read(path: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return facts
