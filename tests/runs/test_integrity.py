"""What was changed after it was made is named before it is used."""

from __future__ import annotations

import base64
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
from epsball.errors import EpsballError
from epsball.runs import files, integrity, provenance_records

RUN = Path("results/small")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two files of a run, the second made from the first."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(integrity, "_SECONDS_BETWEEN", 0.01)
    above, below = RUN / "networks" / "one" / "weights.safetensors", RUN / "survey" / "one.parquet"
    for path in (above, below):
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(range(200)))
    provenance_records.record([str(above)], {}, "build_network", {}, "digest", {}, {})
    inputs = integrity.Inputs.of([str(above)])
    provenance_records.record([str(below)], inputs.digests, "survey", {}, "digest", {}, {})
    return [above, below]


def flip(path: Path, keep_time: bool = False) -> None:
    content, when = bytearray(path.read_bytes()), path.stat().st_mtime_ns
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    if keep_time:
        os.utime(path, ns=(when, when))


def test_a_run_as_it_was_made(made: list[Path], tmp_path: Path) -> None:
    integrity.require_run(RUN)
    for path in made:
        path.touch()
    integrity.require_run(RUN)  # by its content
    shutil.copytree("results", "copied/results")
    os.chdir("copied")
    integrity.require_run(RUN)


@pytest.mark.fault("a bit of weights, or of a table", "named, with what to do, before anything is computed from it")
@pytest.mark.parametrize("place", [0, 1])
def test_a_flipped_bit(made: list[Path], place: int) -> None:
    flip(made[place])
    sentence = rf"'{made[place]}' is not what the run made on 20.*; remove it and run again to make it anew"
    with pytest.raises(EpsballError, match=sentence):
        integrity.require_run(RUN)
    with pytest.raises(EpsballError, match=sentence):
        integrity.Inputs.of([str(made[place])])
    made[place].unlink()
    integrity.require_run(RUN)


@pytest.mark.fault(
    "weights of a run replaced by an older file", "named, with what to do, before anything is computed from it"
)
def test_an_older_file_in_its_place(made: list[Path], tmp_path: Path) -> None:
    older = tmp_path / "older"
    older.write_bytes(b"of another day")
    os.utime(older, ns=(1, 1))
    older.replace(made[0])
    with pytest.raises(EpsballError, match="weights.safetensors' is not what the run made"):
        integrity.require_run(RUN)


@pytest.mark.parametrize("place", [0, 1])
def test_a_file_of_a_job_that_was_killed_before_its_record(made: list[Path], place: int) -> None:
    flip(made[place])
    incomplete = Path(".snakemake/incomplete")
    incomplete.mkdir(parents=True)
    with pytest.raises(EpsballError, match="is not what the run made"):
        integrity.require_run(RUN)
    (incomplete / base64.urlsafe_b64encode(str(made[place]).encode()).decode()).touch()
    integrity.require_run(RUN)


@pytest.mark.fault(
    "a table changed, and its time set back", "named, with what to do, before anything is computed from it"
)
def test_a_job_reads_what_size_and_time_do_not_tell(made: list[Path]) -> None:
    flip(made[0], keep_time=True)
    integrity.require_run(RUN)
    with pytest.raises(EpsballError, match="weights.safetensors' is not what the run made"):
        integrity.Inputs.of(map(str, made))


@pytest.mark.fault("an input changed while a job reads it", "the job fails in a sentence")
def test_a_change_while_a_job_reads(made: list[Path], tmp_path: Path) -> None:
    given = tmp_path / "labels.csv"
    given.write_text("1")
    inputs = integrity.Inputs.of([str(made[0]), str(given)])
    inputs.require_unchanged()
    given.write_text("2")
    with pytest.raises(EpsballError, match=r"labels.csv' has changed while this job read it"):
        inputs.require_unchanged()
    given.unlink()
    with pytest.raises(EpsballError, match=r"labels.csv' has changed while this job read it"):
        inputs.require_unchanged()


@pytest.mark.fault("a record that is empty, cut, of other keys or no text", "as without it")
@pytest.mark.parametrize("content", ["", "{", "[]", '{"sha256": 3}', '{"file": "é'])
def test_a_record_that_cannot_be_read_is_none(made: list[Path], content: str) -> None:
    (RUN / "provenance" / "networks" / "one" / "weights.safetensors.json").write_text(content, encoding="latin-1")
    flip(made[0])
    integrity.require_run(RUN)
    integrity.Inputs.of([str(made[0])])


def test_many_are_counted(made: list[Path]) -> None:
    for number in range(7):
        path = RUN / f"{number}.txt"
        path.write_text("as made")
        provenance_records.record([str(path)], {}, "a_rule", {}, "digest", {}, {})
        flip(path)
    with pytest.raises(EpsballError, match=r"0\.txt") as caught:
        integrity.require_run(RUN)
    assert str(caught.value).count("is not what the run made") == 5
    assert str(caught.value).endswith("and 2 more")


@pytest.mark.fault("a hidden second name of a file, spoilt", "made anew")
def test_an_earlier_file_is_used_as_it_was_alone(tmp_path: Path) -> None:
    """It and its second name are one file on the disk, so what spoils one spoils both."""
    path = tmp_path / "a.parquet"
    files.write_table(path, pd.DataFrame({"a": range(9)}), "this")
    files.retain(path)
    path.unlink()
    assert not files.restore_table(path, "that")
    assert files.restore_table(path, "this")
    flip(path)
    assert files.earlier(path) is None
    path.unlink()
    assert not files.restore_table(path, "this")
    files.previous(path).unlink()
    assert files.earlier(path) is None
