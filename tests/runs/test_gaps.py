"""What could not be measured: a gap keeps its reason, and what fails is told from what must stop a run."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from epsball.errors import EpsballError
from epsball.runs import gaps
from epsball.runs.files import write_table
from epsball.stages.gather import gather

SAMPLES = pd.DataFrame({"sample": ["a", "b"], "image": ["0", "1"], "shard": [0, 1]})


def part(folder: Path, shard: int, table: pd.DataFrame) -> Path:
    path = folder / f"{shard}.parquet"
    write_table(path, table)
    return path


def test_a_gap_keeps_its_reason_through_gather(tmp_path: Path) -> None:
    whole = part(tmp_path, 0, pd.DataFrame({"sample": ["a"], "value": [1.0]}))
    lost = part(tmp_path, 1, gaps.gap("no forward derivative"))
    gathered = part(tmp_path, 2, gather([whole, lost], SAMPLES))
    assert gaps.read_reason(gathered) == "no forward derivative"
    assert pd.read_parquet(gathered).empty
    assert gaps.read_reason(whole) == ""
    assert gather([whole], SAMPLES)["value"].tolist() == [1.0]
    assert gaps.reason_of(gather([], SAMPLES)) == gaps.LEFT_OUT


def test_what_fails_is_a_gap_or_stops() -> None:
    for on_failure in ("gap", "stop"):
        try:
            with gaps.collected(["one", "two"], on_failure) as tables, gaps.explained("probe 'one'", "net"):
                raise RuntimeError("no derivative\nof this")
        except EpsballError as error:
            assert on_failure == "stop"
            assert str(error) == (
                f"networks.net: probe 'one' cannot be measured (RuntimeError: no derivative); {gaps.REMEDY}"
            )
        else:
            assert {name: gaps.reason_of(table) for name, table in tables.items()} == dict.fromkeys(
                ("one", "two"), "RuntimeError: no derivative"
            )


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), MemoryError(), RuntimeError("CUDA out of memory")]
)
def test_a_lack_of_room_is_no_gap(error: Exception) -> None:
    with (
        pytest.raises(type(error)),
        gaps.collected(["one"], "gap"),
        gaps.explained("probe 'one'", "net"),
    ):
        raise error


def test_what_is_no_fault_of_a_probe_is_no_gap() -> None:
    with pytest.raises(EpsballError, match="changed"), gaps.collected(["one"], "gap"):
        raise EpsballError("the image has changed")
