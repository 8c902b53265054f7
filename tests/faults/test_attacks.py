"""A run whose files and folders are not as it left them, and what is odd about its surroundings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from epsball.analysis.run import open_run
from epsball.commands import comparison, cost
from epsball.commands.explanation import explain
from epsball.config import load_config
from epsball.errors import EpsballError
from support import rights
from support.study import TINY, Study

pytestmark = pytest.mark.slow

CONFIG: dict[str, Any] = {**TINY, "run": "tiny"}
ROOT = Path("results/tiny")
CLAIMS = str(ROOT / "claims.tsv")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study whose claims are made."""
    made = Study(tmp_path_factory.mktemp("attacked"), warm=True)
    made.run(CONFIG, CLAIMS, str(ROOT / "illustrations" / "squares.npz"))
    shutil.copytree(made.folder / ROOT, made.folder / "kept")
    return made


@pytest.fixture
def study(finished: Study, monkeypatch: pytest.MonkeyPatch) -> Iterator[Study]:
    """It, put back afterwards."""
    monkeypatch.chdir(finished.folder)
    yield finished
    if ROOT.is_dir():
        shutil.rmtree(ROOT)
    shutil.copytree("kept", ROOT, dirs_exist_ok=True)  # with times


def says(study: Study, config: dict[str, Any], *arguments: str) -> str:
    """What a start says that ends with an error, which is no traceback."""
    done = study.snakemake(config, *arguments)
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    assert "Traceback" not in said
    assert "not foreseen" not in said
    return said


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    changed = bytearray(content)
    if changed:
        changed[len(changed) // 2] ^= 0x41
    return bytes(changed)


DAMAGE: dict[str, Callable[[bytes], bytes | None]] = {
    "empty": lambda content: b"",
    "cut in half": half,
    "a byte of it another": flipped,
    "replaced by bytes": lambda content: b"\x00\xffgarbage\n\xfe" * 9,
    "replaced by a list": lambda content: b"[1, 2]",
    "replaced by other keys": lambda content: b'{"a": 1}',
    "replaced by another table": lambda content: b"a,b\n1,2\n",
    "replaced by a folder": lambda content: None,
}


def readers(file: Path) -> dict[str, Callable[[], object]]:
    """Everything that reads a run."""
    run = open_run(ROOT)

    def compare() -> None:
        compared = comparison.compare(ROOT, Path("kept"))
        list(comparison.summary(compared))
        comparison.page(compared)

    config = load_config(CONFIG)
    return {
        "explain the file": lambda: explain(file),
        "explain the claims": lambda: explain(ROOT / "claims.tsv"),
        "compare": compare,
        "plan": lambda: cost.describe(config, 2, cost.seen_in(config, ROOT)),
        "claims": lambda: run.claims,
        "samples": lambda: run.samples("squares"),
        "survey": lambda: run.survey("one"),
        "class names": lambda: run.class_names("squares"),
        "card": lambda: run.card("one"),
        "illustration": lambda: run.illustration("squares"),
        "activations": lambda: run.activations("one").load(),
        "perturbations": lambda: run.perturbations("squares").load(),
        "table": lambda: run.metrics("isotropy", "one"),
    }


# What these open.
READ = {
    "claims.tsv",
    "samples/squares.csv",
    "survey/squares/one.parquet",
    "networks/one/card.json",
    "illustrations/squares.npz",
    "activations/one/uniform/0.zarr.zip",
    "perturbations/squares/uniform/0.zarr.zip",
    "metrics/one/isotropy.parquet",
}


@pytest.mark.fault(
    "any file of a run, {id}", "read as it was, or named, by `explain`, `compare`, `plan` and `open_run`"
)
@pytest.mark.parametrize("how", DAMAGE)
def test_a_file_of_a_run_that_is(study: Study, how: str) -> None:
    seen = set()
    for path in sorted(file for file in ROOT.rglob("*") if file.is_file()):
        top, kind = path.relative_to(ROOT).parts[0], (path.parent, path.suffix)
        if top in {"logs", "benchmarks"} or (top == "provenance" and kind in seen):
            continue
        seen.add(kind)
        content, when = path.read_bytes(), path.stat().st_mtime_ns
        path.unlink()
        if (changed := DAMAGE[how](content)) is None:
            path.mkdir()
        else:
            path.write_bytes(changed)
        try:
            named = [name for name, read in readers(path).items() if not reads(read, path)]
        except EpsballError as error:  # the configuration, which all of them need
            assert "configuration" in str(error)
            named = ["all"]
        assert named or str(path.relative_to(ROOT)) not in READ
        if path.is_dir():
            path.rmdir()
        path.write_bytes(content)
        os.utime(path, ns=(when, when))


def reads(read: Callable[[], object], path: Path) -> bool:
    """Whether it can be read; else a sentence says why not."""
    try:
        read()
    except EpsballError as error:
        assert path.name in str(error) or "record" in str(error), error
        return False
    return True


@pytest.mark.fault("a file where a run has its folder {id}", "named before anything is computed")
@pytest.mark.parametrize("name", ["metrics", "logs", "provenance", "networks/one"])
def test_a_file_where_a_run_has_its_folder(study: Study, name: str) -> None:
    shutil.rmtree(ROOT / name)
    (ROOT / name).write_text("mine")
    assert f"'results/tiny/{name}' is not a folder that can be written" in says(study, CONFIG, "-n")


@pytest.mark.fault("a folder of a run without the right to write: ./{id}", "named before anything is computed")
@pytest.mark.parametrize("name", ["", "metrics", "metrics/one", "logs"])
def test_a_folder_without_the_right_to_write(study: Study, name: str) -> None:
    before = rights.plain()
    (ROOT / name).chmod(0o555)
    try:
        command = [sys.executable, "-m", "snakemake", "-n", "--cores", "1", "--configfile", "mine.yaml"]
        Path("mine.yaml").write_text(yaml.safe_dump(CONFIG))
        done = subprocess.run(
            [*before, *command],
            env={**os.environ, "PYTHONPATH": str(study.folder / "workflow")},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        (ROOT / name).chmod(0o755)
    assert done.returncode != 0
    assert f"'{ROOT / name}' is not a folder that can be written" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.fault("a lock that is a folder", "named with what to do; two runs never share a folder")
def test_a_lock_that_is_a_folder(study: Study) -> None:
    (ROOT / ".lock").unlink()
    (ROOT / ".lock").mkdir()
    (ROOT / "claims.tsv").unlink()
    said = says(study, CONFIG, CLAIMS)
    assert "'results/tiny/.lock' cannot be locked (Is a directory); if no run is at work in 'results/tiny'" in said


@pytest.mark.fault("too little address space (ulimit -v)", "a sentence")
def test_too_little_memory(study: Study) -> None:
    Path("mine.yaml").write_text(yaml.safe_dump({**CONFIG, "run": "small"}))
    command = f"ulimit -v 2000000; exec {sys.executable} -m snakemake --cores 1 --configfile mine.yaml"
    done = subprocess.run(
        ["bash", "-c", command],
        env={**os.environ, "PYTHONPATH": str(study.folder / "workflow")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "memory does not suffice" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.fault(
    "all records, memories and notes of ours, odd or cut", "as without them: the same claims, byte for byte"
)
def test_all_that_is_remembered_is_odd(study: Study) -> None:
    before = Path(CLAIMS).read_bytes()
    for record in (ROOT / "provenance").rglob("*.json"):
        record.write_text('{"sha256": 3, "versions": [], "asked": 4}')
    for kept in (ROOT / "provenance" / "snakemake").rglob("*"):
        if kept.is_file():
            kept.unlink()
            kept.mkdir()
    for name in (".contents.json", ".code.json", "seen.json", "networks/one/.read.json"):
        (ROOT / name).write_text("[1]")
    (ROOT / ".holder").write_bytes(b"\xff\xfe\x00")
    Path(CLAIMS).unlink()
    done = study.snakemake(CONFIG, CLAIMS)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert Path(CLAIMS).read_bytes() == before


@pytest.mark.fault(
    "a run called results, a network called provenance, files of the future", "the same tables as otherwise"
)
def test_names_that_are_our_own_folders_and_files_of_the_future(study: Study) -> None:
    table = study.table("tiny", "one", "isotropy")
    later = time.time() + 864_000
    for name in ("factory.py", "squares.npz"):
        os.utime(name, (later, later))
    config = {**CONFIG, "run": "results", "networks": {"provenance": CONFIG["networks"]["one"]}}
    study.run(config, "results/results/claims.tsv")
    assert study.table("results", "provenance", "isotropy").equals(table)
    assert "all of it as recorded" in explain(Path("results/results/metrics/provenance/isotropy.parquet"))[-1]


@pytest.mark.fault("a package around a factory that does something when it is imported", "a dry run does not import it")
def test_a_package_around_a_factory(study: Study) -> None:
    package = study.folder / "workflow" / "mypackage" / "inner"  # in PYTHONPATH
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").write_text(f"open({str(study.folder / 'ran')!r}, 'w')\n")
    shutil.copy("factory.py", package / "nets.py")
    one = {**CONFIG["networks"]["one"], "factory": "mypackage.inner.nets:make"}
    done = study.snakemake({**CONFIG, "run": "packaged", "networks": {"one": one}}, "-n")
    assert done.returncode == 0, done.stderr
    assert not Path("ran").exists()


@pytest.mark.fault(
    "disks that are full, in bytes or in files, at every stage", "a sentence; with room, the same tables"
)
def test_disks_that_are_full_at_every_stage(study: Study, tmp_path: Path) -> None:
    config = {**CONFIG, "run": "full"}
    place = study.folder / "results" / "full"
    place.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(place)], check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    ended = []
    try:
        for options in ("size=16k", "size=64k", "size=160k", "size=400k", "size=50m,nr_inodes=70"):
            subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)
            done = study.snakemake(config, "results/full/claims.tsv")
            said = done.stdout + done.stderr
            assert "Traceback" not in said
            assert "not foreseen" not in said
            assert done.returncode == 0 or "No space left on device" in said
            ended.append(done.returncode)
        subprocess.run(["mount", "-o", "remount,size=50m,nr_inodes=0", str(place)], check=True)
        study.run(config, "results/full/claims.tsv")
        assert not list(place.rglob(".*.unfinished"))
        assert study.table("full", "one", "isotropy").equals(study.table("tiny", "one", "isotropy"))
        for left in (100, 700):  # kilobytes: room for some figures, and for all but the report
            used = shutil.disk_usage(place).used // 1024
            subprocess.run(["mount", "-o", f"remount,size={used + left}k", str(place)], check=True)
            assert "No space left on device" in says(study, config)
            assert not list(place.rglob(".*.unfinished"))
        subprocess.run(["mount", "-o", "remount,size=50m", str(place)], check=True)
        study.run(config)
        assert (place / "report.html").is_file()
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False)
    assert ended.count(0) < len(ended) - 2, "it was full at several stages"


@pytest.mark.fault(
    "a run of another configuration put in its place, copied to its name, merged into it; Snakemake's memory lost",
    "what is not of this configuration is made again",
)
@pytest.mark.parametrize("how", ["put back", "copied", "merged", "memory lost"])
def test_files_that_are_whole_and_of_another_configuration(study: Study, how: str) -> None:
    other = {**CONFIG, "draws": 8}
    if how == "put back":
        shutil.rmtree(ROOT)
        study.run(other, CLAIMS)
        shutil.rmtree(ROOT)
        shutil.copytree("kept", ROOT)
    elif how == "copied":
        shutil.copytree(ROOT, "results/copied")
        other["run"] = "copied"
    elif how == "merged":
        study.run({**CONFIG, "run": "eight", "draws": 8}, "results/eight/claims.tsv")
        for part in ("metrics", "provenance/metrics"):
            shutil.copytree(f"results/eight/{part}", ROOT / part, dirs_exist_ok=True)
        other = CONFIG
    else:
        shutil.rmtree(ROOT / "provenance" / "snakemake")
        shutil.rmtree(".snakemake")
    target = f"results/{other['run']}/claims.tsv"
    if how != "merged":  # a look at another configuration leaves the run as it is
        assert "This was a dry-run" in study.snakemake(other, target, "-n").stdout
        assert "Nothing to be done" in study.snakemake(CONFIG, CLAIMS).stderr
    study.run(other, target)
    expected = {**CONFIG, "run": "expected", "draws": other["draws"]}
    study.run(expected, "results/expected/claims.tsv")
    for name in ("claims.tsv", "metrics/one/isotropy.parquet"):
        assert Path("results", str(other["run"]), name).read_bytes() == Path("results/expected", name).read_bytes()
    assert "Nothing to be done" in study.snakemake(other, target).stderr


@pytest.mark.fault("a file of a run whose time is in the future", "the same tables, and nothing else is made again")
def test_a_file_of_the_run_from_the_future(study: Study) -> None:
    before = Path(CLAIMS).read_bytes()
    ahead, later = {"samples/squares.csv", "survey/squares/one.parquet"}, time.time() + 1e8
    for name in ahead:
        os.utime(ROOT / name, (later, later))
    Path(CLAIMS).unlink()
    assert study.run(CONFIG, CLAIMS) == {*ahead, "claims.tsv"}
    assert Path(CLAIMS).read_bytes() == before


def replace_by_pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def replace_by_folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    (path / "in it").mkdir(parents=True)


def replace_by_zeros(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(6 << 30)


def replace_by_link(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("nowhere")


@pytest.mark.fault(
    "a pipe, a folder, a dangling link or 6 GB of nothing in the place of what is only remembered", "as without it"
)
@pytest.mark.parametrize("replace", [replace_by_pipe, replace_by_folder, replace_by_zeros, replace_by_link])
def test_odd_files_in_the_place_of_memories(study: Study, replace: Callable[[Path], None]) -> None:
    before = Path(CLAIMS).read_bytes()
    for name in (
        ".contents.json",
        ".code.json",
        "seen.json",
        ".holder",
        "networks/one/.read.json",
        "provenance/claims.tsv.json",
        "provenance/survey/squares/one.parquet.json",
    ):
        replace(ROOT / name)
    (ROOT / ".foo.unfinished").symlink_to("/tmp")
    Path(CLAIMS).unlink()
    done = study.snakemake(CONFIG, CLAIMS)
    assert done.returncode == 0, done.stderr
    assert Path(CLAIMS).read_bytes() == before
    assert Path("/tmp").is_dir()


@pytest.mark.fault("a pipe in the place of a table or a card", "a sentence, at once")
def test_pipes_in_the_place_of_tables(study: Study) -> None:
    replace_by_pipe(ROOT / "networks" / "one" / "card.json")
    cost.seen_in(load_config(CONFIG), ROOT)
    shutil.copy("kept/networks/one/card.json", ROOT / "card.json")
    (ROOT / "card.json").replace(ROOT / "networks" / "one" / "card.json")
    replace_by_pipe(ROOT / "metrics" / "one" / "isotropy.parquet")
    Path(CLAIMS).unlink()
    assert "isotropy.parquet' is no regular file; remove it and run again" in says(study, CONFIG, CLAIMS)


@pytest.mark.fault("records whose inputs lead in a circle", "as without them")
def test_records_in_a_circle(study: Study) -> None:
    place = ROOT / "provenance" / "claims.tsv.json"
    record = json.loads(place.read_text())
    place.write_text(json.dumps({**record, "inputs": {"claims.tsv": record["sha256"]}}))
    assert "Nothing to be done" in study.snakemake(CONFIG, CLAIMS).stderr
    assert explain(Path(CLAIMS))


@pytest.mark.fault("a text of 5,000 letters among a factory's arguments", "taken as text")
def test_a_long_text_among_arguments(study: Study) -> None:
    one = {**CONFIG["networks"]["one"], "args": {"seed": 1, "sharpness": 20, "prompt": "x" * 5000}}
    done = study.snakemake({**CONFIG, "networks": {"one": one}}, "-n")
    assert done.returncode == 0, done.stderr


@pytest.mark.fault("--cores 0", "a sentence")
def test_no_cores(study: Study) -> None:
    Path(CLAIMS).unlink()
    Path("mine.yaml").write_text(yaml.safe_dump(CONFIG))
    said = ended(study, "-m", "snakemake", CLAIMS, "--cores", "0", "--configfile", "mine.yaml")
    assert "--cores is 0, with which nothing would ever run" in said


@pytest.mark.fault("PYTHONOPTIMIZE=2", "a sentence")
def test_python_without_docstrings(study: Study) -> None:
    Path("mine.yaml").write_text(yaml.safe_dump(CONFIG))
    for way_in in (
        ["-c", "from epsball.commands import cli; exit(cli.main(['check', 'mine.yaml']))"],
        ["-m", "snakemake"],
    ):
        said = ended(study, "-OO", *way_in, "--configfile", "mine.yaml", "--cores", "1")
        assert "takes docstrings away, which scikit-bio and help texts need; leave it out" in said


def ended(study: Study, *arguments: str) -> str:
    """What Python says that ends with an error, which is no traceback."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(study.folder / "workflow")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr
