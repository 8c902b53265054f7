"""Selection against a naive one; what it does not depend on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from epsball.config import DatasetSpec, Selection
from epsball.errors import EpsballError
from epsball.stages.select import of_network, select, shard_rows

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


def _naive(tables: dict[str, pd.DataFrame], networks: list[str]) -> list[str]:
    """Images of which all of these networks are sure, in the order of their seeds."""
    sure = [
        (int(hashlib.sha256(f"1 d{number}".encode()).hexdigest()[:16], 16), f"i{number}")
        for number in range(120)
        if all(
            (row := tables[name].iloc[number])["prediction"] == row["label"] and row["score"] > 0.99
            for name in networks
        )
    ]
    return [image for _, image in sorted(sure)]


def test_each_network_has_the_first_images_that_it_is_sure_of() -> None:
    tables = surveys()
    found = select(tables, replace(SPEC, selection="each"), 1, 4)
    for name in tables:
        assert of_network(found, name)["image"].tolist() == _naive(tables, [name])[:10]
    assert found["seed"].is_monotonic_increasing
    assert 10 < len(found) < 20
    assert "chosen_a" not in select(tables, SPEC, 1, 4)
    assert of_network(found, "").equals(found)


def test_another_network_changes_nothing_of_those_that_have_images_of_their_own() -> None:
    tables = surveys()
    spec = replace(SPEC, selection="each")
    before = select({"a": tables["a"]}, spec, 1, 4)
    after = select(tables, spec, 1, 4, before)
    own = of_network(after, "a")
    for shard in before["shard"].unique():
        pd.testing.assert_frame_equal(shard_rows(own, shard), shard_rows(before, shard))
    assert set(own["shard"]) == set(before["shard"])


def test_a_share_of_the_networks_is_sure_and_each_is_measured_where_it_is() -> None:
    tables = surveys()
    spec = replace(SPEC, selection="share", share=0.5)
    found = select(tables, spec, 1, 4)
    either = {*_naive(tables, ["a"]), *_naive(tables, ["b"])}
    assert found["image"].tolist() == [image for image in _naive(tables, []) if image in either][:10]
    for name in tables:
        assert set(of_network(found, name)["image"]) == set(found["image"]) & set(_naive(tables, [name]))
    everyone = select(tables, replace(spec, share=1.0), 1, 4)
    assert everyone["image"].tolist() == select(tables, SPEC, 1, 4)["image"].tolist()


@pytest.mark.parametrize("selection", ["all", "each"])
def test_samples_are_spread_over_the_classes(selection: Selection) -> None:
    tables = {
        name: table.assign(prediction=table["label"], score=np.where((table["label"] < 3) | (table.index < 12), 1, 0.5))
        for name, table in surveys().items()
    }
    spec = replace(SPEC, samples=20, balanced=True, selection=selection)
    for name in tables:
        found = of_network(select(tables, spec, 1, 4), name)
        assert sorted(found["label"].value_counts().tolist()) == [3, 5, 6, 6]  # three of class 3 are all there are
    unbalanced = select(tables, replace(spec, balanced=False), 1, 4)
    assert sorted(unbalanced["label"].value_counts().tolist()) != [3, 5, 6, 6]


@pytest.mark.parametrize("selection", ["each", "share"])
def test_a_network_that_is_sure_of_nothing_is_named(selection: Selection) -> None:
    tables = surveys()
    tables["c"] = tables["a"].assign(score=0.3)
    spec = replace(SPEC, selection=selection, share=0.5)
    with pytest.raises(
        EpsballError,
        match=r"none of 120 images .* by 'c', or not .* c: \d+ right, 0 above the threshold, best score 0.3",
    ):
        select(tables, spec, 1, 4)
