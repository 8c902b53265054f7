"""Files of a run that are changed after they were made: named before anything is computed from them."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.study import TINY, Study

pytestmark = pytest.mark.slow

CLAIMS = "results/tiny/claims.tsv"
CONFIG = {**TINY, "run": "tiny"}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    made = Study(tmp_path_factory.mktemp("intact"), warm=True)
    made.run(CONFIG, CLAIMS)
    return made


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def flipped_as_it_was(path: Path) -> None:
    when = path.stat().st_mtime_ns
    flipped(path)
    os.utime(path, ns=(when, when))


def cut(path: Path) -> None:
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")


ATTACKS: dict[str, tuple[Callable[[Path], None], str, str]] = {
    # What is done, to which file, and what else is removed.
    "weights, and a store made from them": (
        flipped,
        "networks/one/weights.safetensors",
        "activations/one/uniform/0.zarr.zip",
    ),
    "samples": (cut, "samples/squares.csv", "metrics/one/topology.parquet"),
    "a part of a table": (flipped, "metrics/one/topology/0.parquet", "metrics/one/topology.parquet"),
    "a table with nothing to do": (flipped, "metrics/one/isotropy.parquet", ""),
    "a survey whose time is as it was": (
        flipped_as_it_was,
        "survey/squares/one.parquet",
        "metrics/one/lipschitz/0.parquet",
    ),
}


@pytest.mark.fault("{id}: changed after they were made", "named, with what to do, before anything is computed from it")
@pytest.mark.parametrize("name", ATTACKS)
def test_it_is_named_and_made_anew_once_removed(study: Study, name: str) -> None:
    how, victim, removed = ATTACKS[name]
    root = study.folder / "results" / "tiny"
    before = {probe: study.table("tiny", "one", probe) for probe in ("isotropy", "topology", "lipschitz")}
    how(root / victim)
    if removed:
        (root / removed).unlink()
    targets = (CLAIMS, *(f"results/tiny/{path}" for path in (removed, victim) if path))
    done = study.snakemake(CONFIG, *targets)
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    assert f"'results/tiny/{victim}' is not what the run made on 20" in said
    assert "remove it and run again to make it anew" in said
    assert "Traceback" not in said
    (root / victim).unlink()
    study.run(CONFIG, *targets)
    for probe, table in before.items():
        assert study.table("tiny", "one", probe).equals(table)


@pytest.mark.fault("a table without its record, as a kill leaves it", "made again")
def test_a_table_of_a_job_that_was_killed_before_its_record_is_made_again(study: Study) -> None:
    table = "results/tiny/metrics/one/topology.parquet"
    before = study.table("tiny", "one", "topology")
    flipped(study.folder / table)
    (study.folder / ".snakemake" / "incomplete" / base64.urlsafe_b64encode(table.encode()).decode()).touch()
    study.run(CONFIG, CLAIMS)
    assert study.table("tiny", "one", "topology").equals(before)


# Edits a file once, in the stage extract.
EDITING = """
    import time
    if Path(sys.argv[0]).name.endswith("extract.py") and not Path("edited").exists():
        Path("edited").touch()
        path = Path({path!r})
        before = path.read_text()
        for text in {texts}:
            path.with_suffix(".new").write_text(text)
            path.with_suffix(".new").replace(path)
    generator ="""


@pytest.mark.fault(
    "code edited while a job is at work: {id}", "the job fails in a sentence and what it made is dropped"
)
@pytest.mark.parametrize(
    ("path", "texts"),
    [("factory.py", "[before + '#']"), ("workflow/epsball/perturbations/ball.py", "[before + '#', before]")],
)
def test_code_that_is_edited_while_a_job_is_at_work(tmp_path: Path, path: str, texts: str) -> None:
    study = Study(tmp_path, warm=True)
    study.edit("factory.py", "\n    generator =", EDITING.format(path=path, texts=texts))
    config = {**TINY, "run": "edited"}
    done = study.snakemake(config, "results/edited/claims.tsv")
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    assert f"{path}' has changed since the run was started, and this job may have run either" in said
    assert "Traceback" not in said
    assert not list((tmp_path / "results" / "edited" / "activations").rglob("*.zip*"))
    study.run(config, "results/edited/claims.tsv")
