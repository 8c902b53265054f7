"""The shipped configuration of CIFAR-10, in small, on a tree in torchvision's own files."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from support.named_data import supply_cifar10
from support.study import BASE, Study
from support.toys import ROOT


@pytest.mark.slow
def test_a_network_trained_on_cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study(tmp_path, warm=True)
    supply_cifar10(tmp_path, 500, 60)
    config = yaml.safe_load((ROOT / "config" / "cifar10.yaml").read_text(encoding="utf-8"))
    small = {key: BASE[key] for key in ("mantel_permutations", "illustration_grid")}
    config |= {**small, "radii": ["1", "1e1"], "draws": 6, "samples": 6, "shard_size": 3, "float64_draws": 2}
    config["networks"]["resnet18"]["training"] |= {"epochs": 2, "batch": 10, "augment": False, "threads": 1}
    study.run(config)
    made = tmp_path / "results" / "cifar10"
    card = json.loads((made / "networks" / "resnet18" / "card.json").read_text())
    assert card["accuracy"] > 0.99
    assert card["training"]["history"][-1]["validation_accuracy"] > 0.99
    survey = pd.read_parquet(made / "survey" / "cifar10" / "resnet18.parquet")
    samples = pd.read_csv(made / "samples" / "cifar10.csv")
    assert len(survey) == 60
    assert len(samples) == 6
    scores = survey.set_index("image")["score"].rename(index=str)
    assert all(scores[str(image).zfill(2)] > 0.99 for image in samples["image"])
    assert set(study.table("cifar10", "resnet18", "isotropy")["radius"]) == {0, 0.1, 1, 10}
    assert (made / "report.html").stat().st_size > 100_000
    assert study.run(config) == set()
