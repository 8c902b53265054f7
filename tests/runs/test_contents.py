"""Digests by content: what changes them, what does not, and what is read for them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from epsball.runs.contents import Contents
from epsball.runs.files_read import recording

OLD = 1_000_000_000 * 10**9  # ns: long ago


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of images, as far as a digest can tell."""
    for name in ("red/1.png", "red/2.png", "blue/1.png"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_text(name)
    return tmp_path / "photos"


def look(path: Path) -> str:
    """The digest that a new run has, which remembers the ones before."""
    contents = Contents(path.with_name(".contents.json"))
    found = contents.digest(path)
    contents.save()
    return found


def _replace(folder: Path) -> None:
    """Replace an image as `cp -p` does, by one of the same size with the old one's time."""
    path, before = folder / "red" / "1.png", (folder / "red" / "1.png").stat()
    path.write_text("RED/1.png")
    os.utime(path, ns=(before.st_mtime_ns, before.st_mtime_ns))


def _swap(folder: Path) -> None:
    one, two, aside = folder / "red" / "1.png", folder / "red" / "2.png", folder / "red" / "aside"
    one.rename(aside)
    two.rename(one)
    aside.rename(two)


@pytest.mark.parametrize(
    "edit",
    [
        lambda folder: (folder / "blue" / "0.png").write_text("new"),
        lambda folder: (folder / "blue" / "1.png").unlink(),
        lambda folder: (folder / "red" / "1.png").rename(folder / "red" / "0.png"),
        lambda folder: (folder / "red" / "1.png").rename(folder / "blue" / "3.png"),
        lambda folder: (folder / "alone").mkdir(),
        _replace,
        _swap,
    ],
    ids=["added", "removed", "renamed", "moved", "empty class", "replaced", "swapped"],
)
def test_a_folder_counts_by_names_and_contents(folder: Path, edit: Callable[[Path], object]) -> None:
    for path in folder.rglob("*.png"):
        os.utime(path, ns=(OLD, OLD))
    before = look(folder)
    edit(folder)
    assert look(folder) != before


def test_times_copies_and_hidden_files_count_for_nothing(folder: Path) -> None:
    before = look(folder)
    (folder / "red" / "1.png").touch()
    (folder / ".DS_Store").write_text("of a viewer")
    assert look(folder) == before
    shutil.copytree(folder, aside := folder.with_name("copy"))
    shutil.rmtree(folder)
    aside.rename(folder)
    assert look(folder) == before


@pytest.mark.fault("a user's file replaced by an older one", "noticed")
def test_a_file_replaced_by_an_older_one_counts_and_one_that_is_missing_has_no_digest(tmp_path: Path) -> None:
    path, older = tmp_path / "weights.pt", tmp_path / "older.pt"
    path.write_text("b")
    before = look(path)
    older.write_text("a")
    os.utime(older, ns=(OLD, OLD))
    shutil.copy2(older, path)
    after = look(path)
    assert after != before
    older.rename(path)
    assert look(path) == after
    path.unlink()
    assert look(path) == ""


def test_what_has_not_been_touched_is_not_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("epsball.runs.contents._SETTLED", 0)
    before = look(folder)
    (folder / "red" / "1.png").touch()
    with recording() as read:
        assert look(folder) == before
    assert {Path(name).name for name in read} == {".contents.json", "1.png"}
    assert {Path(name).parent.name for name in read} == {folder.parent.name, "red"}


def test_what_is_young_may_change_within_a_tick_and_is_read_again(folder: Path) -> None:
    look(folder)
    with recording() as read:
        look(folder)
    assert len(read) == 4


def test_a_job_has_the_digests_that_its_run_began_with(folder: Path) -> None:
    before = look(folder)
    (folder / "red" / "1.png").write_text("changed")
    job = Contents(folder.with_name(".contents.json"), fixed=True)
    assert job.digest(folder) == before
    assert job.digest(folder / "red" / "1.png")
    assert look(folder) != before


@pytest.mark.fault("a pipe in an image folder", "not waited for")
def test_a_pipe_in_a_folder_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    os.mkfifo(tmp_path / "photos" / "x.png")
    assert Contents(tmp_path / "contents.json").digest(tmp_path / "photos") != ""
    assert Contents(tmp_path / "contents.json").digest(tmp_path / "photos" / "x.png") == ""


@pytest.mark.fault("links in an image folder that lead in circles", "each folder is followed once")
def test_links_in_circles(folder: Path) -> None:
    for name in ("l1", "l2"):
        (folder / "red" / name).symlink_to(folder)
        (folder / "blue" / name).symlink_to(folder / "red")
    assert look(folder) == look(folder)
