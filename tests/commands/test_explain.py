"""What is said of a file is compared with what is there now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from epsball.commands import explanation
from epsball.commands.cli import main
from epsball.config import load_config
from epsball.runs import provenance, provenance_records
from epsball.runs.integrity import Inputs
from support.written_run import MINIMAL

RUN = Path("results/small")
RAW: dict[str, Any] = {**MINIMAL, "run": "small", "networks": {"net": {"dataset": "mine", "factory": "net.py:make"}}}


@pytest.fixture
def claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of a run, made from a table and from a file of the user's, with their records."""
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text("import torch")
    table, path = RUN / "metrics" / "net" / "isotropy.parquet", RUN / "claims.tsv"
    table.parent.mkdir(parents=True)
    table.write_text("a table")
    path.write_text("claims")
    provenance_records.keep_configuration(RUN, RAW)
    found = explanation._fingerprints(load_config(RAW))
    for made, above, rule, wildcards in (
        (table, Path("net.py"), "gather", {"network": "net"}),
        (path, table, "claims", {}),
    ):
        fingerprint = found.of(rule, **wildcards)
        provenance_records.record(
            [str(made)], Inputs.of([str(above)]).digests, rule, wildcards, fingerprint, {"torch": ""}, RAW
        )
    return path


def last(path: Path) -> str:
    """The last line, of the whole."""
    return explanation.explain(path)[-1].removeprefix("by now").strip()


def test_what_has_not_changed_is_as_recorded(claims: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert last(claims) == last(claims.absolute()) == "all of it as recorded"
    assert main(["explain", str(claims)]) == 0
    assert capsys.readouterr().out.startswith(f"{claims}\nmade ")


def test_what_has_changed_is_named(claims: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = RUN / "metrics" / "net" / "isotropy.parquet"
    table.write_text("another table")
    assert last(claims) == "differs: metrics/net/isotropy.parquet"
    table.unlink()
    assert "made from      metrics/net/isotropy.parquet, which is not there any more" in explanation.explain(claims)
    table.write_text("a table")
    Path("net.py").write_text("import torch.nn")
    said = explanation.explain(claims)
    assert "               otherwise by now: above" in said, "the network, whose file it is, is above"
    assert any(line.startswith("given          net.py, ") and line.endswith("another one by now") for line in said)
    assert last(claims) == "differs: fingerprint, net.py"
    Path("net.py").write_text("import torch")
    here = provenance.versions()
    with monkeypatch.context() as patched:
        patched.setattr(provenance, "versions", lambda: {**here, "torch": "99", "pandas": "99"})
        assert f"               made with torch {here['torch']}, and here 99" in explanation.explain(claims)
        assert last(claims) == "differs: versions", "pandas decides no number"
    claims.write_text("other claims")
    assert last(claims) == "differs: content"


def test_keys_of_the_last_start_are_compared(claims: Path) -> None:
    provenance_records.keep_configuration(RUN, {**RAW, "illustration_grid": 7})
    said = explanation.explain(claims)
    assert "               another in the last start: illustration_grid" in said
    assert "               otherwise by now: configuration" in said
    assert said[-1] == "by now         differs: configuration, fingerprint"


def test_where_the_workflow_is_not_there_its_fingerprint_is_not_compared(
    claims: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explanation, "_SCRIPTS", tmp_path)
    assert last(claims) == "all of it as recorded; not comparable: fingerprint"
