"""Versions of the packages that decide numbers: what is recorded, told, made again, and refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from epsball.errors import EpsballError
from epsball.runs import provenance, provenance_records, versions
from epsball.runs.integrity import Inputs

HERE = dict(provenance.versions())
RUN = Path("results/small")
NAMES = {"network": ["one"], "dataset": ["squares"]}

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a file of a run with some versions, and its record."""
    monkeypatch.chdir(tmp_path)

    def made(
        name: str, packages: tuple[str, ...], *above: str, network: str = "one", content: str = "", **others: str
    ) -> Path:
        path = RUN / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content or name)
        with monkeypatch.context() as patched:
            patched.setattr(provenance, "versions", lambda: {**HERE, **others})
            asked = versions.asked(path, packages, redo=False)
            inputs = Inputs.of(str(RUN / each) for each in above).digests
            provenance_records.record([str(path)], inputs, "a_rule", {"network": network}, "digest", asked, {})
        return path

    return made


def test_a_record_has_all_versions_below_a_file(make: Make) -> None:
    make("store", ("torch",), torch="1.0", scipy="0.1")
    make("newer", ("torch",))
    found = provenance_records.made_with(make("table", ("scipy",), "store", "newer"))
    assert found["torch"] == sorted(["1.0", HERE["torch"]])
    assert found["scipy"] == [HERE["scipy"]], "the store's numbers are not SciPy's"
    assert found["python"] == [HERE["python"]]
    assert versions.mixture(found) == f"torch {' and '.join(sorted(['1.0', HERE['torch']]))}"
    assert versions.mixture(provenance_records.made_with(RUN / "newer")) == ""
    assert provenance_records.made_with(RUN / "nothing") == {}
    assert json.loads((RUN / "provenance" / "table.json").read_text())["made_with"] == found
    make("store", ("torch",))  # comes out the same, so that nothing below it is made again
    assert versions.mixture(provenance_records.made_with(RUN / "table")) == ""


def test_other_versions_are_told_with_what_they_made(make: Make) -> None:
    make("metrics/one/a.parquet", ("torch", "numpy"), torch="1.0")
    make("metrics/one/b.parquet", ("torch",), torch="1.0", pandas="0.1")
    make("claims.tsv", ("numpy",), torch="1.0")
    make("metrics/gone/c.parquet", ("torch",), torch="1.0", network="gone")
    make("metrics/one/removed.parquet", ("torch",), torch="1.0").unlink()
    for number, broken in enumerate(("", "{", "[]", "{}")):
        (RUN / f"broken{number}").write_text("")
        (RUN / "provenance" / f"broken{number}.json").write_text(broken)
    [other] = versions.others(RUN, NAMES)
    assert other.files == ("metrics/one/a.parquet", "metrics/one/b.parquet")
    [said] = versions.remarks([other], "stop")
    assert said.startswith(
        "Other versions: 2 files (metrics; such as metrics/one/a.parquet) made with torch 1.0, and this is torch "
        f"{HERE['torch']}: a run that would compute more beside them stops"
    )
    assert "they are made again" in next(versions.remarks([other], "redo"))
    assert not versions.among(RUN, [other], lambda path: path.endswith("claims.tsv"))


def test_what_would_be_mixed_is_refused_in_a_sentence_and_nothing_else_is(make: Make) -> None:
    make("survey/squares/one.parquet", ("torch",), torch="1.0")
    found = versions.others(RUN, NAMES)
    versions.require_one(RUN, found, {"numpy", "scipy"})
    versions.require_one(RUN, [], {"torch"})
    with pytest.raises(EpsballError) as caught:
        versions.require_one(RUN, found, {"numpy", "torch"})
    assert str(caught.value) == (
        "results/small: 1 file (survey; such as survey/squares/one.parquet) made with torch 1.0, and this is torch "
        f"{HERE['torch']}, so that what this run computes would be of another version; set other_versions: redo "
        "to make them again, or mix to go on with both, which the report will say, or install torch 1.0"
    )


def test_a_job_is_asked_for_what_is_here_where_it_is_made_again_and_for_what_made_it_else(make: Make) -> None:
    packages = ("timm", "torch")
    path = make("store", packages, torch="1.0", timm=provenance.NOT_INSTALLED)
    was = {"timm": provenance.NOT_INSTALLED, "torch": "1.0"}
    assert versions.asked(path, packages, redo=False) == was
    again = versions.asked(path, packages, redo=True)
    assert again == was | {"torch": HERE["torch"]}, "a package that was not there made nothing"
    assert versions.asked(RUN / "new", packages, redo=False) == {name: HERE[name] for name in packages}
    # It is made again, the same to the last bit: neither choice makes it a third time.
    provenance_records.record([str(path)], {}, "a_rule", {"network": "one"}, "digest", again, {})
    assert json.loads((RUN / "provenance" / "store.json").read_text())["versions"]["torch"] == "1.0"
    assert versions.asked(path, packages, redo=True) == versions.asked(path, packages, redo=False) == again
    assert not versions.others(RUN, NAMES)
