"""The workflow itself, through Snakemake, on a small study: what runs, what runs again, and what it says."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
import zarr.storage
from epsball.commands import cost
from epsball.commands.explanation import explain
from epsball.config import load_config
from epsball.data import images
from epsball.probes import PAPERS
from epsball.reporting.figures import names
from epsball.runs import files, provenance
from support.soak import soak
from support.study import BASE, TINY, Study
from support.toys import ROOT

pytestmark = pytest.mark.slow


def test_everything_of_the_contract_is_there(study: Study) -> None:
    root = study.folder / "results" / "small"
    for network in ("one", "two"):
        assert (root / "networks" / network / "weights.safetensors").is_file()
        assert (root / "survey" / "squares" / f"{network}.parquet").is_file()
        for probe in PAPERS:
            assert (root / "metrics" / network / f"{probe}.parquet").is_file()
        for family in ("uniform", "permuted"):
            for shard in (0, 1):
                path = root / "activations" / network / family / f"{shard}.zarr.zip"
                opened = xr.open_zarr(zarr.storage.ZipStore(path, mode="r"))
                assert opened.sizes["sample"] == 2
                assert {"family", "network", "network_digest", "device", "version_torch"} <= set(opened.attrs)
                assert {"ball_configuration", "compute_configuration", "network_configuration"} <= set(opened.attrs)
                assert (root / "perturbations" / "squares" / family / f"{shard}.zarr.zip").is_file()
    figures = names(load_config(BASE))
    for figure in figures:
        assert all((root / "figures" / f"{figure}.{kind}").stat().st_size > 5000 for kind in ("pdf", "svg", "png"))
    samples = pd.read_csv(root / "samples" / "squares.csv")
    assert {"sample", "image", "label", "seed", "shard", "score_one", "score_two"} <= set(samples)
    assert len(samples) == 4
    claims = pd.read_csv(root / "claims.tsv", sep="\t")
    expected = {"claim", "statement", "network", "estimate", "ci_low", "ci_high", "samples", "verdict"}
    assert expected <= set(claims)
    page = (root / "report.html").read_text()
    assert page.count("data:image/webp;base64,") == len(figures) + 4
    assert "://" not in page
    assert "around 4 images of squares that all its networks are sure of." in page


@pytest.mark.parametrize("probe", PAPERS)
def test_tables_have_the_columns_that_are_documented_and_their_rows(study: Study, probe: str) -> None:
    table = study.table("small", "one", probe)
    page = (ROOT / "docs" / "howto" / "read_results.md").read_text(encoding="utf-8")
    [told] = [line for line in page.splitlines() if line.startswith("| `") and f"`{probe}`" in line.split(" | ")[0]]
    assert set(table) == {"sample", "radius", *re.findall(r"`(\w+)`", told.split(" | ")[1])}
    assert len(table) == 4 * 3 * (6 if probe == "lipschitz" else 1)
    if "range" in table:
        assert (table.loc[table["radius"] == 0, "range"] == 0).all()


def test_snakemake_has_a_report_with_every_figure(study: Study) -> None:
    study.run(BASE)
    done = study.snakemake(BASE, "--report", "out.html")
    assert done.returncode == 0, done.stderr
    page = (study.folder / "out.html").read_text()
    for figure in names(load_config(BASE)):
        assert f"figures/{figure}.png" in page
    for words in (
        "Figures of the paper",
        r"|\u03c1| &lt; 0.1",
        "the whole report",
        "verdicts",
        "one, two. The run perturbs images",
    ):
        assert words in page, words
    (study.folder / "out.html").unlink()


def test_a_second_run_does_nothing(study: Study) -> None:
    assert study.run(BASE) == set()


def test_a_run_names_what_it_has_made_at_its_end(study: Study) -> None:
    done = study.snakemake(BASE, "results/small/claims.tsv", "--force", "--workflow-profile=none")
    assert "Claims: results/small/claims.tsv" in done.stdout
    assert "Report:" not in done.stdout
    assert "Figures:" not in done.stdout


def test_other_shards_and_other_company_give_the_same_tables(study: Study) -> None:
    alone = {**BASE, "run": "alone", "shard_size": 3, "networks": {"one": BASE["networks"]["one"]}}
    study.run(alone, "results/alone/claims.tsv")
    for probe in PAPERS:
        pd.testing.assert_frame_equal(
            study.table("small", "one", probe), study.table("alone", "one", probe), check_exact=True
        )


def test_activations_are_dropped_once_measured(study: Study) -> None:
    dropped = {**BASE, "run": "dropped", "keep_activations": False, "networks": {"one": BASE["networks"]["one"]}}
    study.run(dropped)
    root = study.folder / "results" / "dropped"
    logs = [path for path in (root / "logs").rglob("*.log") if path.name != "progress.log"]
    assert len(logs) == cost.jobs(load_config(dropped)), "the plan counts the jobs"
    assert not list((root / "activations").rglob("*.zip"))
    assert "around 4 images of squares that its network is sure of." in (root / "report.html").read_text()
    for probe in PAPERS:
        pd.testing.assert_frame_equal(study.table("small", "one", probe), study.table("dropped", "one", probe))
    assert study.run(dropped) == set()


def test_other_threads_give_the_same_verdicts(study: Study) -> None:
    claims = []
    for threads in (1, 2):
        run = f"threads{threads}"
        target = f"results/{run}/claims.tsv"
        config = {**TINY, "run": run, "samples": 20, "shard_size": 20, "threads": threads}
        study.run(config, target)
        claims.append(pd.read_csv(study.folder / target, sep="\t"))
    assert set(claims[0]["verdict"]) >= {"holds", "undecided"}
    assert (claims[0]["verdict"] == claims[1]["verdict"]).all()
    np.testing.assert_allclose(claims[0]["estimate"], claims[1]["estimate"], rtol=1e-3, atol=1e-6)


@pytest.mark.fault("data that are not there", "said by a dry run, and end a run before any computing")
def test_data_that_are_missing_are_said_by_a_dry_run_and_end_a_run(study: Study) -> None:
    missing = {**BASE, "run": "missing", "datasets": {"squares": {"kind": "gtsrb", "root": "nowhere"}}}
    sentence = "datasets.squares: 'nowhere/gtsrb/GTSRB/Training' does not exist; expected GTSRB"
    dry = study.snakemake(missing, "-n")
    assert dry.returncode == 0
    assert f"Not there yet: {sentence}" in dry.stderr
    done = study.snakemake(missing)
    assert done.returncode != 0
    assert done.stderr.count(sentence) >= 2
    assert "Traceback" not in done.stderr


@pytest.mark.fault("published weights that cannot be downloaded", "a sentence, and what is finished is kept")
def test_published_weights_that_cannot_be_had(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there
    networks = {"resnet": {"dataset": "squares", "factory": "torchvision:resnet18"}}
    done = study.snakemake({**BASE, "run": "offline", "networks": networks})
    assert done.returncode != 0
    place = tmp_path / "hub" / "checkpoints"
    assert f"networks.resnet: weights 'resnet18-f37072fd.pth' are not in the folder '{place}'" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_result_can_be_explained(study: Study) -> None:
    study.run(BASE)
    root = study.folder / "results" / "small"
    weights = files.digest(root / "networks" / "one" / "weights.safetensors")[:16]
    with np.load(study.folder / "squares.npz") as arrays:
        pixels = provenance.digest(*map(images.digest, arrays["images"]))
    factory = files.digest(study.folder / "factory.py")[:16]
    for name in study.times("small"):
        said = "\n".join(explain(root / name))
        assert said.endswith("by now         all of it as recorded")
        assert files.digest(root / name)[:16] in said
    said = "\n".join(explain(root / "figures" / "fig1_isotropy.png"))
    assert f"weights        networks/one/weights.safetensors, SHA-256 {weights}" in said
    assert f"data           squares, 24 images, digest of their pixels {pixels}" in said
    assert f"given          factory.py, SHA-256 {factory}" in said
    kept = next(line.split()[1] for line in said.splitlines() if line.startswith("configuration "))
    assert yaml.safe_load(Path(kept).read_text()) == BASE
    claims = root / "claims.tsv"
    written = claims.read_bytes()
    claims.write_bytes(written + b"more")
    said = "\n".join(explain(claims))
    assert "CHANGED since it was made" in said
    assert said.endswith("by now         differs: content")
    claims.write_bytes(written)


@pytest.mark.fault("Ctrl-C during a run", "it ends within seconds, and nothing is half written")
def test_ctrl_c_ends_within_seconds_and_leaves_nothing_half_written(study: Study) -> None:
    config = {**BASE, "run": "interrupted", "draws": 4000, "networks": {"one": BASE["networks"]["one"]}}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it, and so would the run
    process = study.start(config)
    root = study.folder / "results" / "interrupted"
    while len(list((root / "activations").rglob(".*.unfinished"))) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    start = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - start < 15
    assert process.returncode != 0
    assert "Traceback" not in out + err
    assert "The run was stopped." in err
    assert "The run has failed" not in err
    assert not list((root / "activations").rglob("*.zip"))
    # A job that was too slow to tidy up is ended; the next start does it.
    study.run({**config, "draws": 6}, "results/interrupted/perturbations/squares/uniform/0.zarr.zip")
    assert not list(root.rglob("*.unfinished"))


@pytest.mark.fault(
    "a job that is killed while it writes, and tried again", "the run ends well; nothing is half written"
)
def test_a_job_that_is_tried_again_leaves_nothing_half_written(study: Study) -> None:
    config = {**BASE, "run": "retried", "draws": 1000, "networks": {"one": BASE["networks"]["one"]}}
    root = study.folder / "results" / "retried"
    process = study.start(config, "results/retried/activations/one/uniform/0.zarr.zip", "--retries", "1")
    while not (unfinished := list((root / "activations").rglob(".*.unfinished"))):
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(int(unfinished[0].suffixes[-2][1:]), signal.SIGKILL)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, out + err
    assert "Trying to restart" in out + err
    assert (root / "activations" / "one" / "uniform" / "0.zarr.zip").is_file()
    assert not list(root.rglob("*.unfinished"))


@pytest.mark.fault("{id}", "a sentence before any computing")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"networks": {"one": {**BASE["networks"]["one"], "dataset": "sqares"}}}, "did you mean 'squares'"),
        ({"networks": {"one": {**BASE["networks"]["one"], "layer": "5"}}}, "networks.one: layer '5' does not exist"),
        ({"networks": {"one": {**BASE["networks"]["one"], "factory": "factory.py:mak"}}}, "did you mean 'make'"),
        ({"datasets": {"squares": {"kind": "arrays", "root": "gone.npz"}}}, "root is 'gone.npz', no such file"),
        ({"radii": []}, "configuration: radii is empty; give at least one"),
        ({"threshold": 1.5}, "configuration: threshold is 1.5; it must be below 1"),
        ({"device": "cuda"}, "device is cuda, which this machine does not have"),
        ({"run": "blocked"}, "'results/blocked' is not a folder that can be written"),
    ],
)
def test_mistakes_end_a_run_before_any_computing(study: Study, change: dict[str, Any], sentence: str) -> None:
    if change.get("device") == "cuda":
        torch = pytest.importorskip("torch")
        if torch.cuda.is_available():
            pytest.skip("this machine has a GPU")
    (study.folder / "results" / "blocked").write_text("in the way")
    done = study.snakemake({**BASE, "run": "wrong", **change})
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert sentence in output
    assert "Traceback" not in output
    assert ", line " not in output
    assert not (study.folder / "results" / "wrong").exists()


def test_no_sample_says_why_and_few_are_reported(study: Study) -> None:
    unsure = {**BASE["networks"]["one"], "args": {"seed": 1, "sharpness": 2}}
    done = study.snakemake({**BASE, "run": "none", "networks": {"one": unsure}})
    assert done.returncode != 0
    assert "none of 24 images is classified correctly above 0.99 by all" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    study.run({**BASE, "run": "few", "samples": 100, "shard_size": 100, "networks": {"one": BASE["networks"]["one"]}})
    page = (study.folder / "results" / "few" / "report.html").read_text()
    found = len(pd.read_csv(study.folder / "results" / "few" / "samples" / "squares.csv"))
    assert 1 <= found < 100
    assert f"squares: {found} samples were found of 100 asked for" in page


def test_the_plan_comes_first(study: Study) -> None:
    done = study.snakemake(BASE, "-n")
    assert done.returncode == 0
    plan = done.stderr.index("Plan of run 'small'")
    assert plan < (done.stderr + "Building DAG").index("Building DAG")
    for word in ("forward passes", "Disk", "minute"):
        assert word in done.stderr


@pytest.mark.parametrize(("asked", "limit"), [((), "None"), (("--max-jobs-per-timespan=7/2s",), "7")])
def test_jobs_are_limited_to_so_many_a_second_where_that_is_asked_for(
    study: Study, asked: tuple[str, ...], limit: str
) -> None:
    """For the sake of its own limit, which is never reached, Snakemake would look at all jobs again and again."""
    told = 'print("limit", getattr(workflow.scheduler.job_rate_limiter, "max_jobs", None), file=sys.stderr)'
    study.edit("workflow/Snakefile", "onsuccess:\n", f"onsuccess:\n    {told}\n")
    done = study.snakemake(BASE, "results/small/claims.tsv", "--forcerun=claims", *asked)
    study.edit("workflow/Snakefile", f"    {told}\n", "")
    assert done.returncode == 0, done.stderr
    assert f"limit {limit}\n" in done.stderr


@pytest.mark.fault("kills of jobs, of Snakemake and of everything", "the same command goes on, to the same tables")
def test_a_killed_run_goes_on_with_the_same_command(tmp_path: Path) -> None:
    table = soak(Study(tmp_path, warm=True), TINY, kills=2, seed=1)
    assert len(table) == 2
    assert table["leftovers"].sum() == 0
    assert table["differences"].sum() == 0


@pytest.mark.fault("a second run beside a live one", "refused in a sentence")
def test_a_second_live_run_is_refused(study: Study) -> None:
    config, target = {**TINY, "run": "twice"}, "results/twice/samples/squares.csv"
    first = study.start(config, target)
    note = study.folder / "results" / "twice" / ".holder"
    while not (note.is_file() and note.read_text()):
        assert first.poll() is None
        time.sleep(0.05)
    second = study.snakemake(config)
    assert second.returncode != 0
    assert f"another run is at work in it ({note.read_text()})" in second.stderr
    assert "Traceback" not in second.stderr
    first.communicate()
    assert first.returncode == 0
