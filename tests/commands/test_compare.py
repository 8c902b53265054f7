"""Two runs side by side: tables and configurations that are made to differ in known places."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from epsball.commands.cli import main
from epsball.commands.comparison import compare, page, summary
from epsball.errors import EpsballError
from epsball.runs.files import write_table, write_text
from epsball.runs.provenance_records import configuration, keep_configuration, record
from support.finished_run import RAW, finished

pytestmark = pytest.mark.slow


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    """Ranges at 10: 0.001 · 3² in the one, 0.001 · 20² in the other."""
    other = {**RAW, "draws": 20, "clip": True, "networks": {"net": {**RAW["networks"]["net"], "args": {"width": 3}}}}
    return (
        finished(tmp_path / "results" / "one", {**RAW, "run": "one"}, 3.0),
        finished(tmp_path / "results" / "two", {**other, "run": "two"}, 20.0),
    )


def rewritten(path: Path, table: pd.DataFrame) -> None:
    """Claims, with their record."""
    made_with = configuration(path)
    write_table(path, table)
    record([str(path)], {}, "claims", {}, "digest", {}, made_with)


def test_a_verdict_that_changes_is_found_and_no_other(runs: tuple[Path, Path]) -> None:
    table = compare(*runs).claims
    assert len(table) == len(pd.read_csv(runs[0] / "claims.tsv", sep="\t"))
    changed = table[table["changed"]]
    assert set(changed["claim"]) == {"strongly anisotropic at 10"}
    row = changed[changed["network"] == "net"].iloc[0]
    assert [row["verdict_a"], row["verdict_b"]] == ["does not hold", "holds"]
    assert [row["estimate_a"], row["estimate_b"], row["difference"]] == pytest.approx([0.009, 0.4, 0.391])


def test_a_run_compared_with_itself_differs_in_nothing(runs: tuple[Path, Path]) -> None:
    same = compare(runs[0], runs[0])
    assert not same.claims["changed"].any()
    assert (same.claims["difference"].dropna() == 0).all()
    assert same.keys.empty


def test_keys_that_differ_defaults_included(runs: tuple[Path, Path]) -> None:
    found = {str(row.key): (row.a, row.b) for row in compare(*runs).keys.itertuples()}
    assert found == {
        "run": ("one", "two"),
        "ball.clip": (False, True),  # the first has the default
        "ball.draws": (10, 20),
        "networks.net.args.width": (None, 3),
    }


def test_what_one_run_alone_has_is_named(runs: tuple[Path, Path]) -> None:
    path = runs[1] / "claims.tsv"
    table = pd.read_csv(path, sep="\t")
    more = table[table["network"] == "net"].assign(network="further", control="identity", difference=0.5)
    rewritten(path, pd.concat([table, more]))
    both = compare(*runs)
    alone = both.claims[both.claims["network"] == "further"]
    assert set(alone["verdict_a"]) == {"not in this run"}
    assert not alone["changed"].any()
    assert (alone["estimate_b"] == 0.5).all()  # of a control, the difference from it
    assert np.isnan(alone["estimate_a"]).all()
    said = "\n".join(summary(both))
    assert f"In the second run alone: {len(more)} rows, of further against identity" in said
    assert "In “two” alone, and not compared: further against identity." in page(both)


def test_other_weights_and_samples_are_named(runs: tuple[Path, Path]) -> None:
    for run, digest, images in zip(runs, ("a", "b"), (["x", "y", "z"], ["y", "w"]), strict=True):
        write_text(run / "networks" / "net" / "card.json", json.dumps({"digest": digest}))
        samples = pd.DataFrame({"digest": images}).assign(sample="a", image="b", label=0, seed=0, shard=0)
        write_table(run / "samples" / "mine.csv", samples)
    assert compare(runs[0], runs[0]).remarks == []
    assert compare(*runs).remarks == ["Network net has other weights.", "Samples of mine: 3 and 2, of which 1 in both."]
    assert "Network net has other weights." in page(compare(*runs))


def test_runs_without_a_network_in_common(runs: tuple[Path, Path]) -> None:
    path = runs[1] / "claims.tsv"
    table = pd.read_csv(path, sep="\t")
    rewritten(path, table.assign(network=table["network"].replace("net", "further")))
    said = list(summary(compare(*runs)))
    assert said == ["Nothing to compare: no network of one run has the name and dataset of one of the other."]
    shown = page(compare(*runs))
    assert said[0] in shown
    assert "verdicts that both runs have" not in shown


def test_the_command(runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.html"
    assert main(["compare", *map(str, runs), "--html", str(out)]) == 0
    said = capsys.readouterr().out
    assert "  ball.draws: 10 → 20" in said
    assert "strongly anisotropic at 10, net: does not hold (0.009) → holds (0.4)" in said
    written = out.read_text()
    assert "<strong>changed</strong>" in written
    assert "https://" not in written


def test_folders_that_are_no_runs(runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nothing, unfinished = tmp_path / "nothing", tmp_path / "unfinished"
    assert main(["compare", str(runs[0]), str(nothing)]) == 1
    assert f"error: '{nothing}' is no folder of a run, such as results/<run>" in capsys.readouterr().err
    keep_configuration(unfinished, RAW)
    assert main(["compare", str(runs[0]), str(unfinished)]) == 1
    assert f"error: '{unfinished}' has no claims.tsv: its run is not finished" in capsys.readouterr().err
    (unfinished / "claims.tsv").write_text("a\tb\n1\t2\n")
    with pytest.raises(EpsballError, match="has no column claim; expected the claims"):
        compare(runs[0], unfinished)
