"""The benchmark of the activate stage, but for what it measures."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import ROOT


@pytest.mark.parametrize("compiled", [10.0, 30.0])
def test_the_stage_is_measured_in_the_form_in_which_bare_passes_are_fastest(
    monkeypatch: pytest.MonkeyPatch, compiled: float
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import activate

    asked: list[list[object]] = []

    def apart(processes: int, *arguments: object) -> dict[str, np.float64]:
        asked.append(json.loads(json.dumps(arguments)))
        rate = np.float64(compiled if arguments[-1] is True else 20.0)
        return dict.fromkeys(("rate", "÷ bare", "with floor", "start-up"), rate)

    monkeypatch.setattr(activate, "apart", apart)
    row = activate.row("ciresan2012")
    assert row["bare"] == max(compiled, 20.0)
    assert [bool(call[4]) for call in asked if call[0] == "stage"] == [compiled > 20] * 2
