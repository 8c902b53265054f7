"""The small study on a real SLURM: `make test-slurm` starts one."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from support.soak import differences
from support.study import BASE, CLUSTER, TINY, Study, in_reach

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not in_reach(), reason="needs a SLURM; make test-slurm starts one"),
]


@pytest.mark.fault("SLURM: Snakemake killed while its jobs are there, and a job cancelled", "the tables of a local run")
def test_slurm_gives_the_tables_of_a_local_run_although_snakemake_is_killed_and_a_job_cancelled(tmp_path: Path) -> None:
    study = Study(tmp_path, warm=True)
    study.run({**TINY, "run": "local"}, "results/local/claims.tsv")
    config, arguments = {**TINY, "run": "slurm"}, ("results/slurm/claims.tsv", *CLUSTER)
    killed = study.start(config, *arguments)
    orphan = _running("extract")
    killed.kill()
    killed.communicate()
    process = study.start(config, *arguments)
    cancelled = _running("extract", after=orphan)
    subprocess.run(["scancel", str(cancelled)], check=True)
    out, err = process.communicate(timeout=1500)
    assert process.returncode == 0, out + err
    assert "jobs that it left in SLURM" in err
    assert str(cancelled) in err
    assert differences(study, "local", "slurm") == []


# Sleeps over its time once, in the stage extract.
SLEEPY = """
    import time
    if Path(sys.argv[0]).name.endswith("extract.py") and not Path("slept").exists():
        Path("slept").touch()
        time.sleep(300)
    generator ="""


# Waits until the other dataset is being measured, which takes its time.
WAITING = """
    import time
    while spec.name == "others" and not Path("results/limits/logs/measure/one.0.log").exists():
        time.sleep(0.2)
    table ="""
LONG = """
    import time
    time.sleep(6 * ("/one/" in str(activations)))
    held ="""


@pytest.mark.fault("SLURM: two datasets, whose samples are selected at different times", "one command is enough")
@pytest.mark.fault("SLURM: a selection while jobs of another dataset run in a group", "one command is enough")
@pytest.mark.fault("SLURM: a job over its memory, or its time", "tried again with more")
def test_a_job_of_two_datasets_over_its_memory_or_its_time_is_tried_again_with_more(tmp_path: Path) -> None:
    study = Study(tmp_path)
    study.edit("factory.py", "\n    generator =", SLEEPY)
    study.edit("workflow/epsball/stages/select.py", "\n    table =", WAITING)
    study.edit("workflow/epsball/stages/measure.py", "\n    held =", LONG)
    datasets = {**TINY["datasets"], "others": {**TINY["datasets"]["squares"], "samples": 3}}
    networks = {**TINY["networks"], "two": {**BASE["networks"]["two"], "dataset": "others"}}
    config = {**TINY, "run": "limits", "datasets": datasets, "networks": networks}
    limits = ("perturb:mem_mb=150 * attempt**5", "extract:runtime=attempt**3")
    done = study.snakemake(config, *CLUSTER, "--set-resources", *limits)
    assert done.returncode == 0, done.stdout + done.stderr
    made = study.folder / "results" / "limits"
    assert (made / "report.html").is_file()
    # Snakemake (9.27) would put what a selection adds into a group that runs, and fail once that ends: KeyError.
    selected, measured = made / "samples" / "others.csv", made / "metrics" / "one" / "lipschitz" / "0.parquet"
    assert selected.stat().st_mtime < measured.stat().st_mtime
    assert (study.folder / "slept").exists()
    ended = _queue("all", "%T %k")
    assert [line for line in ended if line.startswith("TIMEOUT") and "extract" in line], ended
    assert [line for line in ended if line.startswith("FAILED") and "perturb" in line], ended
    # What more than two cores asked for would wait for ever on a node of two.
    assert max(int(cores) for cores in _queue("all", "%C")) == 2
    logs = [path.read_text() for path in (study.folder / ".snakemake" / "slurm_logs").rglob("*.log")]
    assert [text for text in logs if "exceeded memory limit" in text], done.stderr


def _queue(states: str, form: str) -> list[str]:
    """Jobs in these states, a line each."""
    command = ["squeue", "--noheader", f"--states={states}", f"--format={form}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def _running(rule: str, after: int = 0) -> int:
    """Number of a running job of a rule, the first that is above a number."""
    end = time.monotonic() + 600
    while time.monotonic() < end:
        for line in _queue("R", "%i %k"):
            number = int(line.split()[0])
            if rule in line and number > after:
                return number
        time.sleep(0.5)
    raise AssertionError(f"no job of {rule} ran")
