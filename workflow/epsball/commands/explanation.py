"""What made a file of a run, back to configuration, code, weights and data, and what of that is otherwise by now."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from epsball.commands.comparison import differing_keys
from epsball.config import Config, load_config
from epsball.errors import EpsballError
from epsball.probes.normalisers import features_path
from epsball.reporting import figures
from epsball.runs import files, provenance, provenance_records, versions
from epsball.runs.contents import Contents
from epsball.stages.fingerprints import Fingerprints
from epsball.stages.given import Given

_SCRIPTS = Path(__file__).parents[2] / "scripts"
_LISTED = 6  # most inputs that are listed one by one
_SAME, _UNKNOWN = "as recorded", "not comparable"
_GONE = "which is not there any more"


def explain(path: Path) -> list[str]:
    """Return a few lines about what made a file of a run, and at the end whether all of it is still as recorded.

    Paths in its configuration are taken from the folder that holds `results`.

    Raises:
        EpsballError: the path is not a file of a run, or the file has no record.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise EpsballError(f"'{path}' {what}; expected a file of a run, such as results/<run>/claims.tsv")
    given, path = path, path.absolute()
    run = provenance_records.run_of(path)
    facts = provenance_records.require(path)
    with contextlib.chdir(run.parent.parent if run.parent.name == "results" else Path()):
        lines = list(_explained(path, run, facts))
    return [str(given), *lines]


def _explained(path: Path, run: Path, facts: Mapping[str, Any]) -> Iterator[str]:
    last = facts["again"] or facts
    changes: list[str] = []
    unknown: list[str] = []

    def compared(what: str, found: str) -> str:
        """Note what is otherwise or cannot be compared, and return what stands behind a line."""
        if found:
            (unknown if found.startswith(_UNKNOWN) else changes).append(what)
        return found or _SAME

    again = f"; made again, the same, {last['made']}" if last is not facts else ""
    yield f"made           {facts['made']} by rule {facts['rule']}{again}"
    changed = "" if files.digest(path) == facts["sha256"] else "CHANGED since it was made"
    yield f"content        SHA-256 {facts['sha256'][:16]}, {compared('content', changed)}"
    kept = provenance_records.configuration_path(run, last["configuration"])
    yield f"configuration  {kept}"
    yield f"               {compared('configuration', _changed_keys(run, kept))}"
    yield f"fingerprint    {facts['fingerprint']}"
    yield f"               {compared('fingerprint', _changed_parts(run, last))}"
    yield "versions       " + ", ".join(f"{name} {version}" for name, version in last["versions"].items())
    made = provenance_records.made_with(path)
    yield f"               {compared('versions', _changed_versions(made))}"
    if mixture := versions.mixture(made):
        yield f"made with      {mixture}: what it was made from is of more than one version"
    chain = _chain(run, facts["file"], last)
    yield from _inputs(run, last["inputs"], compared)
    for name, entry in chain.items():
        if name.endswith("weights.safetensors"):
            yield f"weights        {name}, SHA-256 {entry['sha256'][:16]}"
    paths = [run / name for name in chain if name.startswith("survey/")]
    # Beside each survey are the extremes of the features.
    surveys = {path.parent.name: path for path in paths if features_path(path) in paths}
    for dataset, survey in surveys.items():
        if not survey.is_file():
            yield f"data           {dataset}, {compared(dataset, _GONE)}"
            continue
        digests = files.read_table(survey, columns=["digest"])["digest"].tolist()
        yield f"data           {dataset}, {len(digests)} images, digest of their pixels {provenance.digest(*digests)}"
    given = {name: digest for entry in chain.values() for name, digest in entry["given"].items()}
    for name, digest in given.items():
        yield f"given          {name}, SHA-256 {digest[:16]}, {compared(name, _state(Path(name), digest))}"
    rest = f"; {_UNKNOWN}: {', '.join(unknown)}" if unknown else ""
    state = f"differs: {', '.join(dict.fromkeys(changes))}" if changes else f"all of it {_SAME}"
    yield f"by now         {state}{rest}"


def _chain(run: Path, name: str, facts: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return what is recorded of a file and of all that it was made from, by name, the file first."""
    chain: dict[str, Mapping[str, Any]] = {}
    waiting = list(facts["inputs"])
    while waiting:
        above = waiting.pop()
        if above not in chain and (entry := provenance_records.last(run / above)):
            chain[above] = entry
            waiting += entry["inputs"]
    return {name: facts, **dict(sorted(chain.items()))}


def _inputs(run: Path, inputs: Mapping[str, str], compared: Any) -> Iterator[str]:
    """Yield a line for each file of the run that it was made from; of many, a line for all that are unchanged."""
    states = {name: _state(run / name, digest) for name, digest in inputs.items()}
    if len(states) > _LISTED:
        places = sorted({"".join(name.partition("/")[:2]) for name in states})
        rest = "" if any(states.values()) else f", {_SAME}"
        yield f"made from      {len(states)} files in {', '.join(places)}{rest}"
    for name, state in states.items():
        if state or len(states) <= _LISTED:
            yield f"made from      {name}, {compared(name, state)}"


def _state(path: Path, digest: str) -> str:
    """Return what has become of a file since; empty if it is unchanged."""
    if not path.is_file():
        return _GONE
    return "" if files.digest(path) == digest else "which is another one by now"


def _changed_keys(run: Path, kept: Path) -> str:
    """Return which keys are otherwise in the configuration that the run was last started with; empty if none."""
    try:
        then = load_config(provenance_records.given(kept))
        now = load_config(provenance_records.last_configuration(run))
    except EpsballError as error:
        return f"{_UNKNOWN}: {error}"
    changed = differing_keys(then, now)
    return f"another in the last start: {', '.join(str(key) for key, _, _ in changed)}" if changed else ""


def _changed_versions(made_with: provenance_records.Versions) -> str:
    """Return which versions are otherwise here, of the packages that had a part in the file's numbers."""
    here = provenance.versions()
    parts = [
        f"{name} {' and '.join(made)}, and here {here[name]}"
        for name, made in made_with.items()
        if name in provenance.DECIDING and list(made) != [here[name]]
    ]
    return f"made with {'; '.join(parts)}" if parts else ""


def _changed_parts(run: Path, facts: Mapping[str, Any]) -> str:
    """Return which parts of the fingerprint are otherwise by now, for the last configuration; empty if none."""
    rule = facts["rule"]
    if not (_SCRIPTS / f"{rule}.py").is_file():
        return f"{_UNKNOWN}: the workflow's scripts are not beside the library"
    try:
        config = load_config(provenance_records.last_configuration(run))
        wildcards = {key: value for key, value in facts["wildcards"].items() if key != "shard"}
        now = _fingerprints(config).of(rule, **wildcards)
    except (EpsballError, KeyError) as error:  # a network or a dataset that it has no more
        return f"{_UNKNOWN}: the last configuration has no {error}"
    before, after = (dict(part.rsplit(" ", 1) for part in text.split(", ")) for text in (facts["fingerprint"], now))
    changed = [name for name in after if before.get(name) != after[name]]
    return f"otherwise by now: {', '.join(changed)}" if changed else ""


def _fingerprints(config: Config) -> Fingerprints:
    """Return the fingerprints that the workflow would have now, as `workflow/rules/common.smk` makes them."""
    given = Given(config, Contents(config.folder / ".contents.json"))
    return Fingerprints(config, _SCRIPTS, {"figures": figures.modules(config)}, given)
