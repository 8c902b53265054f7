"""A run whose results were made with another version of PyTorch: it stops, goes on mixed, or makes them again."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest
from epsball.commands.explanation import explain
from epsball.runs import provenance, provenance_records
from support.study import TINY, Study, kinds

pytestmark = pytest.mark.slow

CLAIMS = "results/small/claims.tsv"
HERE = provenance.versions()["torch"]


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study that has been run with PyTorch 1.0, by what is written of its package."""
    made = Study(tmp_path_factory.mktemp("older"), warm=True)
    package = made.folder / "workflow" / "torch-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 1.0\n")
    made.run(TINY, CLAIMS)
    shutil.rmtree(package)
    return made


def torch_of(study: Study, name: str) -> list[str]:
    """The versions of PyTorch that had a part in a file."""
    return list(provenance_records.made_with(study.folder / "results" / "small" / name)["torch"])


def test_a_run_stops_before_it_would_mix_and_not_where_it_computes_nothing_that_the_package_decides(
    older: Study,
) -> None:
    assert torch_of(older, "claims.tsv") == ["1.0"]
    done = older.snakemake({**TINY, "draws": 8}, CLAIMS)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    said = f"made with torch 1.0, and this is torch {HERE}, so that what this run computes would be of another version"
    assert said in done.stderr
    assert "set other_versions: redo to make them again, or mix" in done.stderr
    (older.folder / CLAIMS).unlink()
    assert older.run(TINY, CLAIMS) == {"claims.tsv"}
    assert torch_of(older, "claims.tsv") == ["1.0"], "claims are not computed with PyTorch"


def test_a_mixed_run_keeps_what_is_there_and_says_of_what_it_is_made(older: Study) -> None:
    config = {**TINY, "samples": 4, "other_versions": "mix"}
    older.run(config, CLAIMS)
    assert torch_of(older, "metrics/one/isotropy/0.parquet") == ["1.0"]
    assert torch_of(older, "metrics/one/isotropy/1.parquet") == ["1.0", HERE], "its survey is of the first version"
    assert torch_of(older, "activations/one/uniform/1.zarr.zip") == ["1.0", HERE], "its network is"
    assert torch_of(older, "metrics/one/isotropy.parquet") == torch_of(older, "claims.tsv") == ["1.0", HERE]
    assert older.run(config, CLAIMS) == set()
    said = "\n".join(explain(older.folder / CLAIMS))
    assert f"made with torch 1.0 and {HERE}, and here {HERE}" in said
    assert said.endswith("by now         differs: versions")


def test_a_run_that_is_made_again_is_of_one_version(older: Study) -> None:
    before = older.table("small", "one", "isotropy")
    config = {**TINY, "samples": 4, "other_versions": "redo"}
    made = older.run(config, CLAIMS)
    assert kinds(made) >= {"networks", "survey", "perturbations", "activations", "metrics", "claims.tsv"}
    for path in provenance_records.recorded(older.folder / "results" / "small"):
        assert provenance_records.made_with(path)["torch"] == [HERE], path
    pd.testing.assert_frame_equal(older.table("small", "one", "isotropy"), before)
    done = older.snakemake({**TINY, "samples": 4}, CLAIMS)
    assert "Nothing to be done" in done.stdout + done.stderr
    assert "Other versions" not in done.stderr
