"""What a run says while it goes and at its end."""

from __future__ import annotations

import io
import logging
import os
import re
import shutil
import signal
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from epsball.analysis.claims import ALL_NETWORKS, CLAIMS
from epsball.reporting import end_of_run
from epsball.runs import monitor
from epsball.runs.job import job
from epsball.runs.monitor import Monitor
from epsball.runs.progress import Progress, read_standing
from support.study import TINY, Study
from support.written_run import MINIMAL


class Run:
    """A scheduler that says what Snakemake's says, of two jobs of one stage and as many as are planned of another."""

    def __init__(self, folder: Path) -> None:
        self.logger = logging.Logger("run", logging.INFO)
        self.terminal, self.chatter = io.StringIO(), io.StringIO()
        self.logger.addHandler(logging.StreamHandler(self.chatter))
        self.folder, self.path = folder, folder / "logs" / "progress.log"
        self.plan: tuple[dict[str, int], bool] = ({"extract": 2}, True)
        self.monitor = Monitor(lambda: self.plan, self.path, self.terminal)
        self.monitor.listen(self.logger)

    def say(self, event: str, **known: Any) -> None:
        self.logger.info(event, extra={"event": event, **known})

    def start(self, number: int, stage: str = "extract") -> Path:
        log = self.folder / f"{number}.log"
        self.say("job_started", jobs=[number])
        self.say("job_info", jobid=number, rule_name=stage, wildcards={"shard": str(number)}, log=[str(log)])
        return log

    def lines(self) -> list[str]:
        return [line[21:] for line in self.path.read_text().splitlines()] if self.path.exists() else []


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    made = Run(tmp_path)
    yield made
    made.monitor.close()


def test_stages_are_counted_also_those_that_a_checkpoint_adds(run: Run) -> None:
    for number in (1, 2):
        run.start(number)
        run.say("job_finished", job_id=number)
    run.plan = ({"extract": 2, "measure": 1}, False)
    run.start(3, "measure")
    run.say("job_finished", job_id=3)
    assert run.monitor.end() == []
    assert run.lines() == [
        "extract 2/2; 2 of 2 jobs so far, more to come",
        "measure 1/1; 3 of 3 jobs",
        "3 of 3 jobs",
    ]
    assert [line[10:] for line in run.terminal.getvalue().splitlines()] == run.lines()
    assert not {"job_started", "job_finished"} & set(run.chatter.getvalue().split())


def test_what_jobs_say_in_their_logs_is_added_up(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    old = run.folder / "2.log"
    old.write_text("12:00:00  extract two: 9 of 9 images, 1/s, done\n")
    os.utime(old, (0, 0))  # of an earlier run
    run.start(1)
    run.start(2)
    run.start(3)
    with caplog.at_level(logging.INFO, "epsball"), Progress("extract one", 400, "images") as progress:
        monkeypatch.setattr("epsball.runs.progress._SECONDS_BETWEEN_LINES", 0.0)
        progress.advance(100)
        for number in (1, 3):
            (run.folder / f"{number}.log").write_text(f"12:00:00  {caplog.messages[-1]}\n")
    found = read_standing(run.folder / "1.log")
    assert found is not None
    assert (found.done, found.total, found.unit) == (100, 400, "images")
    run.monitor.end()
    assert run.lines() == [
        f"extract 0/2 (200 of 800 images, {2 * found.rate}/s); 0 of 2 jobs so far, more to come",
    ]


def test_what_is_left_is_said_once_there_is_a_basis(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    run.monitor._start = clock[0]
    run.plan = ({"extract": 3, "measure": 6}, False)
    for number in (1, 2, 3):  # one after the other, 10 s each
        run.start(number)
        clock[0] += 10
        run.say("job_finished", job_id=number)
        if number == 2:
            run.monitor._say()
    for number in (4, 5, 6):  # side by side, 30 s each
        run.start(number, "measure")
    clock[0] += 30
    for number in (4, 5, 6):
        run.say("job_finished", job_id=number)
    run.start(7, "measure")
    clock[0] += 10
    run.monitor._say()
    # 20 s of the job at work and 2 of 30 s, at a mean of (3 × 10 + 3 × 30 + 10) / 70 side by side.
    assert run.lines()[-1] == f"measure 3/6; 6 of 9 jobs, about {monitor.clock(80 / (130 / 70))} left"
    assert run.lines()[0] == "2 of 9 jobs"
    run.plan = ({"extract": 3, "measure": 6, "gather": 2, "figure": 4}, False)
    run.say("job_finished", job_id=7)  # 3 × 30 s and 10 s: 25 s each
    clock[0] += 10
    run.start(8, "gather")
    clock[0] += 5
    run.say("job_finished", job_id=8)
    # 2 × 25 s, 5 s, and 4 of 7.5 s, the lower quartile of 5, 10 and 25 s.
    run.monitor._say()
    assert run.lines()[-1].endswith(f"about {monitor.clock(85 / (135 / 85))} left")


def test_a_failed_job_that_is_tried_again_has_not_failed(run: Run) -> None:
    for number in (1, 2):
        log = run.start(number)
        log.write_text("12:00:00  something\n12:00:01  error: weights 'w.pt' do not exist; expected a file\n")
        run.say("job_error", jobid=number)
    run.start(2)
    run.say("job_finished", job_id=2)
    failed = run.monitor.end()
    assert [(job.stage, job.wildcards) for job in failed] == [("extract", {"shard": "1"})]
    assert end_of_run.failures(failed, interrupted=False).splitlines() == [
        "extract (shard 1): weights 'w.pt' do not exist; expected a file",
        "The run has failed. What is finished is kept, and the same command goes on from it.",
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "12:00  error: not foreseen by epsball: KeyError: 3; please report it with {log}\n12:00  where:\n",
            "extract: not foreseen by epsball: KeyError: 3; please report it with {log}",
        ),
        ("12:00  extract one: 3 of 9 images, 1/s, 0:06 left\n", "may have been killed for its memory or its time"),
    ],
)
def test_other_ends_of_a_job(tmp_path: Path, text: str, sentence: str) -> None:
    log = tmp_path / "a.log"
    log.write_text(text.format(log=log))
    said = end_of_run.failures([monitor.RunningJob("extract", {}, log, 0.0)], interrupted=False)
    assert sentence.format(log=log) in said
    assert str(log) in said
    assert end_of_run.failures([], interrupted=True).startswith("The run was stopped. ")


def test_a_disk_too_full_for_the_log_of_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As under SLURM, where what the job says besides is kept elsewhere."""
    log = tmp_path / "a.log"
    log.touch()
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=8192))
    said = end_of_run.failures([monitor.RunningJob("extract", {}, log, 0.0)], interrupted=False)
    assert said.startswith(f"extract: No space left on device, not even for a word in its log ({log})")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The repository may have a run of the same name, of other code."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("elsewhere")
def test_a_job_says_a_line_once_though_a_library_configures_logging(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "log"
    with job(SimpleNamespace(log=[log], output=[], input=[], params={}, rule="survey", wildcards={}, config=MINIMAL)):
        logging.getLogger("epsball.stages.survey").info("once")
    assert log.read_text().count("once") == 1
    assert "once" not in caplog.text, "the root logger, which pytest gives a handler, passes nothing on"


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_full_disk_ends_a_job_with_a_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for log in (tmp_path / "log", Path("/dev/full")):  # the second has no room for the log either
        frame = job(
            SimpleNamespace(log=[log], output=[], input=[], params={}, rule="measure", wildcards={}, config=MINIMAL)
        )
        with pytest.raises(SystemExit) as ended, frame:
            Path("/dev/full").write_text("a")
        assert ended.value.code == 1
        said = capfd.readouterr().err
        assert "No space left on device" in said
        assert "Traceback" not in said


@pytest.mark.usefixtures("elsewhere")
def test_warnings_of_libraries_go_to_the_log_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "job.log"
    with job(SimpleNamespace(log=[log], output=[], input=[], params={}, rule="measure", wildcards={}, config=MINIMAL)):
        warnings.warn("soon gone", FutureWarning, stacklevel=1)
    assert "soon gone" in log.read_text()
    assert "soon gone" not in capfd.readouterr().err
    with pytest.warns(FutureWarning, match="later"):
        warnings.warn("later", FutureWarning, stacklevel=1)


@pytest.mark.parametrize(
    ("value", "quiet"), [(None, False), ("", False), ("false", False), ("true", True), ("1", True)]
)
def test_continuous_integration(monkeypatch: pytest.MonkeyPatch, value: str | None, quiet: bool) -> None:
    monkeypatch.delenv("CI", raising=False)
    if value is not None:
        monkeypatch.setenv("CI", value)
    assert monitor.in_ci() is quiet


def test_a_terminal_of_100_columns_holds_the_verdicts_of_many_networks() -> None:
    networks = [f"network-number-{number}" for number in range(9)]
    words = ["holds", "does not hold", "undecided", "too few samples"]
    rows = [
        {"claim": claim.name, "kind": kind, "network": network, "dataset": "signs", "control": control, "samples": 40}
        | {"adjusted_verdict": words[(row + column) % 4]}
        for row, claim in enumerate(CLAIMS)
        for column, network in enumerate(networks)
        for control, kind in (("", "paper"), ("identity", "paper"), ("", "comparison"))
    ]
    text = end_of_run.verdicts(pd.DataFrame(rows), {"signs": 50})
    assert max(map(len, text.splitlines())) <= 100
    assert "✓ holds, ✗ does not hold, ? undecided, ○ too few samples" in text
    assert text.endswith("Samples: signs 40 of 50 asked for")
    for network in networks:
        (heading,) = (line for line in text.splitlines() if network in line)
        rest = text.splitlines()[text.splitlines().index(heading) + 1 :]
        place = heading.index(network)
        column = [line[place : place + len(network)].strip() for line in rest[: len(CLAIMS)]]
        assert column == ["✓✗?○"[(row + networks.index(network)) % 4] for row in range(len(CLAIMS))]
    only = pd.DataFrame([*rows, {**rows[0], "network": ALL_NETWORKS}])
    lines = end_of_run.verdicts(only, {"signs": 50}).splitlines()
    place = lines.index(next(line for line in lines if line.strip() == ALL_NETWORKS))
    assert lines[place + 1].split() == [*CLAIMS[0].name.split(), "✓"]
    assert lines[place + 2] == "", "claims without one of all networks have no row there"


@pytest.mark.slow
def test_a_real_run_its_failure_and_its_quiet_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    study, target = Study(tmp_path, warm=True), "results/small/claims.tsv"
    log = tmp_path / "results" / "small" / "logs" / "progress.log"
    (tmp_path / "broken").touch()
    done = study.snakemake(TINY, target)
    assert done.returncode != 0
    failed = re.findall(r"^extract \(network one, shard 0\): (.*)$", done.stderr, re.M)
    assert set(failed) == {"networks.one: the network's forward pass fails: ValueError: no such luck"}
    assert "The run has failed. What is finished is kept, and the same command goes on from it." in done.stderr
    lines = log.read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", line) for line in lines)
    assert all(line[11:] in done.stderr for line in lines)
    assert "Finished jobid" not in done.stderr
    (tmp_path / "broken").unlink()
    monkeypatch.setenv("CI", "true")
    done = study.snakemake(TINY, target)
    assert done.returncode == 0, done.stderr
    more = log.read_text().splitlines()
    assert more[: len(lines)] == lines
    assert not any(line[11:] in done.stderr for line in more)
    told = "\n".join(more)
    for stage in ("build_network", "survey", "select", "extract", "perturb", "measure", "gather", "claims"):
        assert re.search(rf"\b{stage} (\d+)/\1\b", told), stage
    done_jobs, total = re.findall(r"(\d+) of (\d+) jobs$", told)[-1]
    assert done_jobs == total
    assert "The paper's claims, judged together: ○ too few samples, – not measured in this run" in done.stdout
    assert "Samples: squares 2" in done.stdout
    assert f"Claims: {target}" in done.stdout
    assert re.search(r"^Time: \d+:\d\d$", done.stdout, re.M)
