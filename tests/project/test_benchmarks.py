"""The benchmark of the extract stage, but for what it measures."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from support.toys import ROOT


@pytest.mark.parametrize("compiled", [10.0, 30.0])
def test_the_stage_is_measured_in_the_form_in_which_bare_passes_are_fastest(
    monkeypatch: pytest.MonkeyPatch, compiled: float
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import extract

    asked: list[list[Any]] = []

    def apart(processes: int, *arguments: Any) -> dict[str, np.float64]:
        asked.append(json.loads(json.dumps(arguments)))
        if arguments[0] == "bare":
            return dict.fromkeys(map(str, arguments[2]), np.float64(compiled if arguments[3] else 20.0))
        return defaultdict(lambda: np.float64(20.0))

    monkeypatch.setattr(extract, "apart", apart)
    row = extract.row("ciresan2012")
    assert row["bare"] == max(compiled, 20.0)
    assert [call[4] for call in asked if call[0] == "stage"] == [compiled > 20]
