"""Sweeps: networks by all combinations of some factors, as if they were written one by one."""

from __future__ import annotations

import copy
import itertools
import re
from typing import Any

import pytest
import yaml
from epsball.analysis import readings
from epsball.analysis.comparisons import find_plain_twin
from epsball.config import Config, load_config
from epsball.errors import EpsballError
from support.toys import ROOT

FACTORS: dict[str, Any] = {
    "architecture": {
        "wide": {"factory": "net.py:make", "args": {"width": 64}},
        "narrow": {"factory": "net.py:make", "args": {"width": 8}, "training": {"epochs": 3}},
    },
    "training": {
        "plain": {},
        "smooth": {"training": {"label_smoothing": 0.1}},
        "adversarial": {"training": {"adversarial_radius": 0.5}},
    },
    "seed": {"s0": {"training": {"seed": 0}}, "s1": {"training": {"seed": 1}}},
}
COMMON: dict[str, Any] = {"dataset": "signs", "training": {"epochs": 2, "batch": 8}, "args": {"norm": "none"}}


def raw(**changes: Any) -> dict[str, Any]:
    sweep = {"common": COMMON, "factors": FACTORS, **changes}
    return copy.deepcopy({"datasets": {"signs": {"kind": "signs"}}, "sweeps": {"zoo": sweep}})


def test_a_sweep_is_its_networks_written_one_by_one() -> None:
    found = load_config(raw())
    networks: dict[str, Any] = {}
    for width, training, seed in itertools.product((64, 8), ("plain", "smooth", "adversarial"), (0, 1)):
        architecture = {64: "wide", 8: "narrow"}[width]
        networks[f"{architecture}-{training}-s{seed}"] = {
            "dataset": "signs",
            "factory": "net.py:make",
            "args": {"norm": "none", "width": width},
            "training": {"epochs": 3 if width == 8 else 2, "batch": 8, "seed": seed}
            | {"plain": {}, "smooth": {"label_smoothing": 0.1}, "adversarial": {"adversarial_radius": 0.5}}[training],
            "factors": {"architecture": architecture, "training": training, "seed": f"s{seed}"},
        }
    written = load_config({"datasets": {"signs": {"kind": "signs"}}, "networks": networks})
    assert list(found.networks) == list(written.networks)
    assert found == written
    assert repr(found) == repr(written)  # digests are made of it


def test_networks_by_name_come_first_and_what_is_given_stays() -> None:
    given = {**raw(), "networks": {"mine": {"dataset": "signs", "factory": "sign:ciresan2012"}}}
    before = copy.deepcopy(given)
    assert list(load_config(given).networks)[:2] == ["mine", "wide-plain-s0"]
    assert given == before


def test_combinations_are_left_out() -> None:
    exclude = [{"architecture": "wide", "training": ["smooth", "adversarial"]}, {"seed": "s1"}]
    found = load_config(raw(exclude=exclude))
    assert list(found.networks) == ["wide-plain-s0", "narrow-plain-s0", "narrow-smooth-s0", "narrow-adversarial-s0"]


def test_several_sweeps_make_one_study() -> None:
    both = raw()
    both["sweeps"]["more"] = {"common": COMMON, "factors": {"kind": {"aghdam": {"factory": "sign:aghdam2015"}}}}
    assert list(load_config(both).networks)[-1] == "aghdam"
    both["sweeps"]["more"]["factors"] = {"kind": {"wide-plain-s0": {"factory": "sign:aghdam2015"}}}
    with pytest.raises(EpsballError, match="sweeps.more has network 'wide-plain-s0', which there is already; rename"):
        load_config(both)


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no factors": ({"factors": {}}, "sweeps.zoo.factors is empty; give at least one"),
    "no level": ({"factors": {"seed": {}}}, "sweeps.zoo.factors.seed is empty; give at least one"),
    "an empty level": ({"factors": {"seed": {"s0": None}}}, "sweeps.zoo.factors.seed.s0 is empty; expected: keys with"),
    "a number": ({"factors": {"seed": {0: {}}}}, "sweeps.zoo.factors.seed has the name 0, .* put it in quotes"),
    "a list": ({"factors": {"seed": [0, 1]}}, r"sweeps.zoo.factors.seed is \[0, 1\]; expected: keys with values"),
    "unknown": ({"factor": {}}, "unknown key 'factor' in sweeps.zoo; did you mean 'factors'"),
    "both": (
        {"factors": {**FACTORS, "length": {"long": {"training": {"epochs": 9}}}}},
        "sweeps.zoo: factors architecture and length both set training.epochs; leave it to one of them",
    ),
    "nothing left": ({"exclude": [{"seed": ["s0", "s1"]}]}, "sweeps.zoo has no network: exclude leaves nothing"),
    "no such factor": ({"exclude": [{"sed": "s0"}]}, "sweeps.zoo.exclude has 'sed', no factor of this sweep; did you"),
    "no such level": ({"exclude": [{"seed": "s2"}]}, "sweeps.zoo.exclude has 's2', no level of seed; known: s0, s1"),
    "of all networks": (
        {"common": {**COMMON, "layr": "fc"}},
        r"unknown key 'layr' in networks.wide-plain-s0; did you mean 'layer'\? \(so for 12 networks\)$",
    ),
    "of one level": (
        {"factors": {**FACTORS, "training": {"plain": {}, "long": {"training": {"weight_decay": -1}}}}},
        r"networks.wide-long-s0.training.weight_decay is -1; it must be at least 0 \(so for 4 networks\)$",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named_once(name: str) -> None:
    changes, sentence = MISTAKES[name]
    with pytest.raises(EpsballError, match=sentence) as caught:
        load_config(raw(**changes))
    assert str(caught.value).count("both set") <= 1


def test_an_adversarial_network_is_compared_with_the_plain_one_of_its_seed() -> None:
    config: Config = load_config(raw())
    for seed in ("s0", "s1"):
        assert find_plain_twin(config, f"narrow-adversarial-{seed}") == f"narrow-plain-{seed}"
    assert find_plain_twin(config, "narrow-smooth-s0") is None


def test_readings_write_a_sweep_out() -> None:
    found = readings.readings(raw())
    assert {len(load_config(one).networks) for one in found.values()} == {12}
    assert all("sweeps" not in one for one in found.values())


def test_the_example_of_the_documentation_has_the_networks_it_says() -> None:
    text = (ROOT / "config" / "README.md").read_text(encoding="utf-8").split("### `sweeps`")[1].split("\nA factory")[0]
    said, example = text.split("```yaml")[0], yaml.safe_load(text.split("```yaml")[1].split("```")[0])
    found = load_config({"datasets": {"signs": {"kind": "signs"}}, **example})
    assert re.findall(r"`(\w+-\w+-s\d)`", said) == list(found.networks)
