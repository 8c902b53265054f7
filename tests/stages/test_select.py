"""Selection against a naive one; what it does not depend on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from epsball.config import DatasetSpec
from epsball.errors import EpsballError
from epsball.stages.select import select, shard_rows

SPEC = DatasetSpec(name="mine", kind="arrays", samples=10, threshold=0.99)


def surveys(count: int = 120) -> dict[str, pd.DataFrame]:
    generator = np.random.default_rng(0)
    labels = np.arange(count) % 4
    tables = {}
    for name in ("a", "b"):
        wrong = generator.random(count) < 0.2
        tables[name] = pd.DataFrame(
            {
                "image": [f"i{number}" for number in range(count)],
                "label": labels,
                "prediction": np.where(wrong, (labels + 1) % 4, labels),
                "score": generator.uniform(0.97, 1, count),
                "digest": [f"d{number}" for number in range(count)],
                "track": "",
            }
        )
    return tables


def test_selection_is_the_naive_one() -> None:
    tables = surveys()
    chosen = []
    for number in range(120):
        rows = [table.iloc[number] for table in tables.values()]
        if all(row["prediction"] == row["label"] and row["score"] > 0.99 for row in rows):
            seed = int(hashlib.sha256(f"2017 d{number}".encode()).hexdigest()[:16], 16)
            chosen.append((seed, f"i{number}"))
    chosen.sort()
    assert len(chosen) > 10
    found = select(tables, SPEC, 2017, 4)
    assert list(zip(found["seed"], found["image"], strict=True)) == chosen[:10]
    assert found["shard"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]
    assert found["sample"].is_unique
    assert set(found) >= {"sample", "image", "label", "seed", "shard", "score_a", "score_b"}


def test_surveys_are_joined_by_image_never_by_row() -> None:
    tables = surveys()
    shuffled = {**tables, "b": tables["b"].sample(frac=1, random_state=1)}
    pd.testing.assert_frame_equal(select(shuffled, SPEC, 1, 4), select(tables, SPEC, 1, 4))


@pytest.mark.parametrize(
    "other",
    [
        lambda table: table.iloc[1:],
        lambda table: table.assign(digest=["new", *table["digest"][1:]]),
        lambda table: table.assign(label=[3, *table["label"][1:]]),
        lambda table: table.assign(image=["new", *table["image"][1:]]),
    ],
    ids=["fewer", "pixels", "label", "name"],
)
def test_surveys_of_other_images_are_refused(other: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    tables = surveys()
    with pytest.raises(EpsballError, match=r"datasets.mine: the surveys of 'b' and 'a' are not of the same images: "):
        select({**tables, "b": other(tables["b"])}, SPEC, 1, 4)


def test_more_samples_extend_and_order_of_networks_is_nothing() -> None:
    tables = surveys()
    few, more = (select(tables, replace(SPEC, samples=n), 1, 4) for n in (5, 9))
    pd.testing.assert_frame_equal(few, more.head(5))
    turned = select(dict(reversed(tables.items())), SPEC, 1, 4)
    assert turned["image"].tolist() == select(tables, SPEC, 1, 4)["image"].tolist()
    assert select(tables, SPEC, 2, 4)["image"].tolist() != turned["image"].tolist()
    pd.testing.assert_frame_equal(shard_rows(few, 0), shard_rows(more, 0))


def test_a_sample_keeps_its_shard_and_new_ones_get_new_shards() -> None:
    tables = surveys(600)
    before = select(tables, replace(SPEC, samples=6), 1, 4)
    assert before["shard"].tolist() == [0, 0, 0, 0, 1, 1]
    stricter = replace(SPEC, samples=9, threshold=float(before["score_a"].nsmallest(3).iloc[-1]))
    after = select(tables, stricter, 1, 4, before)
    fresh = select(tables, stricter, 1, 4)
    pd.testing.assert_frame_equal(after.drop(columns="shard"), fresh.drop(columns="shard"))
    kept = dict(zip(before["sample"], before["shard"], strict=True))
    old, new = after[after["sample"].isin(kept)], after[~after["sample"].isin(kept)]
    assert 0 < len(old) < len(before)
    assert old["shard"].tolist() == [kept[sample] for sample in old["sample"]]
    assert not set(new["shard"]) & set(old["shard"])
    assert new["shard"].value_counts().tolist() == [4, len(new) - 4]


def test_one_frame_of_a_track_and_one_of_equal_images() -> None:
    tables = surveys()
    for table in tables.values():
        table["track"] = [f"t{number // 10}" for number in range(len(table))]
    chosen = select(tables, SPEC, 1, 4)
    assert chosen["image"].str[1:].astype(int).floordiv(10).is_unique
    for table in tables.values():
        table["track"], table["digest"] = "", "same"
    assert len(select(tables, SPEC, 1, 4)) == 1


@pytest.mark.parametrize(("score", "shown"), [(0.5, "0.5000"), (1 - 3e-9, "1 - 3e-09")])
def test_none_says_why(score: float, shown: str) -> None:
    tables = surveys()
    tables["b"]["score"] = score
    spec = replace(SPEC, threshold=1 - 1e-9)
    with pytest.raises(EpsballError, match=rf"datasets.mine: none of 120 images .* b: \d+ right, 0 above .* {shown}"):
        select(tables, spec, 1, 4)
