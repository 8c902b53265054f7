"""Every configuration is run as it ships, with the user's data where it needs them: an hour and more on two cores."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from support.named_data import supply_cifar10
from support.reduced import clone, run
from support.toys import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.long]

DATA = ROOT / "data"
USERS = ("paper", "real", "real-beyond")  # their images and weights are the user's, in data/
GPU = ("paper",)
HOURS = ("zoo", "zoo-gtsrb", "zoo-cifar10")


@pytest.fixture(scope="module")
def cloned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shipped") / "epsball"
    clone(folder)
    return folder


def assert_whole(folder: Path, name: str) -> None:
    """Check that a run has all tables, figures and verdicts, no gap, and nothing left to do."""
    raw = yaml.safe_load((folder / "config" / f"{name}.yaml").read_text(encoding="utf-8"))
    made = folder / "results" / raw["run"]
    claims = pd.read_csv(made / "claims.tsv", sep="\t")
    assert set(raw["networks"]) <= set(claims["network"])
    assert set(raw.get("controls", ())) <= set(claims["control"].dropna())
    assert "not available" not in set(claims["verdict"])
    for network in raw["networks"]:
        tables = {path.stem for path in (made / "metrics" / network).glob("*.parquet")}
        assert {"isotropy", "symmetry", "topology", "lipschitz", *raw.get("extra_probes", ())} <= tables
    assert len(list((made / "figures").glob("*.pdf"))) == len(list((made / "figures").glob("*.png"))) >= 6
    assert (made / "report.html").stat().st_size > 100_000
    assert "Nothing to be done" in run(folder, ["snakemake", "--cores", "2", "--configfile", f"config/{name}.yaml"])


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "config").glob("*.yaml")))
def test_a_configuration_is_run_as_it_ships(cloned: Path, name: str) -> None:
    if name in HOURS:
        pytest.skip("takes hours: `make zoo`; tests/project/test_readme.py runs a part of it")
    if name in USERS:
        if not (DATA / "gtsrb").exists() or not (DATA / "imagenet").exists():
            pytest.skip(f"needs its user's data, in {DATA}")
        if name in GPU and not torch.cuda.is_available():
            pytest.skip("needs a GPU")
        (cloned / "data").mkdir(exist_ok=True)
        for path in DATA.iterdir():
            if not (link := cloned / "data" / path.name).exists():  # as of the configuration before
                link.symlink_to(path.resolve())
    if name == "cifar10":
        supply_cifar10(cloned, 5000, 1000)
    if name == "sensitivity":
        run(cloned, ["make", "sensitivity", "CORES=2"])
        made = cloned / "results" / "sensitivity"
        readings = pd.read_csv(made / "sensitivity.tsv", sep="\t")
        assert len(set(readings["reading"])) >= 10
        assert (made / "sensitivity.png").stat().st_size > 10_000
    else:
        run(cloned, ["snakemake", "--cores", "2", "--configfile", f"config/{name}.yaml"])
        assert_whole(cloned, name)
