"""The configuration: defaults are the paper's; each mistake gets a sentence that names it."""

from __future__ import annotations

import copy
import datetime
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from epsball.config import TrainingSpec, load_config
from epsball.config.reading import read_yaml
from epsball.errors import EpsballError
from support.toys import ROOT

MINIMAL: dict[str, Any] = {
    "datasets": {"photos": {"kind": "imagefolder", "root": "somewhere"}},
    "networks": {"net": {"dataset": "photos", "factory": "package.module:make"}},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The minimal configuration with one key set."""
    raw = copy.deepcopy(MINIMAL)
    *parents, last = path.split(".")
    place = raw
    for parent in parents:
        place = place[parent]
    place[last] = value
    return raw


def test_defaults_are_the_papers() -> None:
    config = load_config(MINIMAL)
    assert config.ball.radii == (0, 0.1, *range(1, 21))
    assert (config.ball.draws, config.ball.norm, config.ball.clip) == (100, "l2", False)
    assert config.ball.noise == "uniform"
    photos = config.datasets["photos"]
    assert (photos.samples, photos.threshold) == (300, 0.99)
    assert config.networks["net"].training is None


def test_the_default_configuration_is_as_the_readme_says() -> None:
    config = load_config(yaml.safe_load((ROOT / "config" / "config.yaml").read_text()))
    assert config.ball.radii == (0, 0.1, 1, 5, 10, 20)
    assert config.ball.draws == 40
    assert config.datasets["photographs"].threshold == 0.9
    assert config.datasets["signs"].threshold == 0.99
    assert config.networks["ciresan2012"].training == TrainingSpec(validation=0.02)


MISTAKES = [
    ("networks.net.dataset", "photo", "networks.net.dataset is 'photo', no dataset .* did you mean 'photos'"),
    ("datasets.photos.kind", "imagefoldr", "datasets.photos.kind is 'imagefoldr', no such kind; did you mean 'image"),
    ("datasets.photos.threshold", 1.0, "datasets.photos.threshold is 1.0; it must be below 1"),
    ("threshold", 0, "threshold is 0; it must be above 0"),
    ("radii", [], "radii is empty; give at least one"),
    ("radii", [1, -2], r"radii.1 is -2; it must be above 0"),
    ("radii", [2, 1], r"radii are \[2, 1\]; they must rise"),
    ("radii", [0.05, 1], "start above epsilon"),
    ("draws", 2, "draws is 2; it must be at least 3"),
    ("draws", "many", "draws is 'many'; expected: integer"),
    ("norm", "l1", "norm is 'l1'; expected one of: l2, linf"),
    ("noise", "gauss", "noise is 'gauss'; expected one of: uniform, sphere, gaussian"),
    ("float64_draws", 1, "float64_draws is 1; it must be at least 2"),
    ("thresold", 0.9, "unknown key 'thresold' in the file; did you mean 'threshold'"),
    ("networks.net.layr", "fc", "unknown key 'layr' in networks.net; did you mean 'layer'"),
    ("datasets.photos.rot", "x", "unknown key 'rot' in datasets.photos; did you mean 'root'"),
    ("networks.net.factory", "make", "networks.net.factory is 'make'; expected: kind:name"),
    ("run", "../elsewhere", "run is '../elsewhere'; expected"),
    ("networks.net.training", {}, "networks.net.training is set, but dataset 'photos' has no training split"),
    ("datasets.other", {"kind": "photographs"}, "datasets.other has no network"),
    ("datasets.photos", {"kind": "imagefolder"}, "datasets.photos has no key 'root'"),
    ("networks", {}, "networks is empty"),
    ("draws", True, "draws is True; expected: integer"),
    ("clip", 1, "clip is 1; expected: boolean"),
    ("threshold", "0,9", "threshold is '0,9'; expected: number"),
    ("samples", "4.5", "samples is 4.5; expected: integer"),
    ("clip", "perhaps", "clip is 'perhaps'; expected: boolean"),
    ("radii", [1, float("inf")], "radii.1 is inf; expected: a finite number"),
    ("radii", ["2", "1e0"], r"radii are \[2, 1.0\]; they must rise"),
    ("run", 3, "run is 3; expected: string, so put it in quotes"),
    ("run", datetime.date(2024, 11, 29), "run is 2024-11-29; expected: string, so put it in quotes"),
    ("networks.net.weights", "model_{best}.pt", "is 'model_{best}.pt', and Snakemake takes {best} for a wildcard"),
    ("networks.net.factory", "a{network}/net.py:make", "and Snakemake takes {network} for a wildcard; rename the file"),
    ("datasets.photos.classes", "{n,.+}.txt", "and Snakemake takes {n,.+} for a wildcard"),
    ("datasets.photos.root", "$NO_SUCH/photos", r"is '\$NO_SUCH/photos', but \$NO_SUCH is not set; set it, or"),
    ("datasets.photos.limit", None, "datasets.photos.limit is empty; expected: integer"),
    ("datasets.photos.kind", ["arrays"], "datasets.photos.kind is .* no such kind"),
    ("controls", ["identity", "identity"], "controls has 'identity' twice; name each once"),
    ("networks.net.name", "mine", "unknown key 'name' in networks.net; known: dataset, factory"),
    ("networks.net.args", {1: 2}, "networks.net.args has the name 1, which YAML takes for no text"),
]


@pytest.mark.parametrize(("path", "value", "sentence"), MISTAKES, ids=[path for path, _, _ in MISTAKES])
def test_mistakes_are_named(path: str, value: Any, sentence: str) -> None:
    with pytest.raises(EpsballError, match=sentence):
        load_config(changed(path, value))


def test_numbers_are_read_as_people_write_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """YAML 1.1 reads 1e-3 as text, and Snakemake's --config all that is in brackets."""
    raw = yaml.safe_load("{epsilon: 1e-3, radii: [1, '2', 1e1], draws: 4.0, samples: '20', clip: 'true', seed: 1e3}")
    raw["networks"] = {"net": {**MINIMAL["networks"]["net"], "training": {"augment": "no", "learning_rate": "1E-4"}}}
    raw["datasets"] = {"photos": {"kind": "signs", "threshold": "5e-1", "limit": "100", "train": 50.0}}
    config = load_config(raw)
    assert config.ball.radii == (0, 0.001, 1, 2, 10)
    assert (config.ball.draws, config.ball.clip, config.seed) == (4, True, 1000)
    assert (type(config.ball.draws), type(config.seed)) == (int, int)
    photos = config.datasets["photos"]
    assert (photos.samples, photos.threshold, photos.limit, photos.options["train"]) == (20, 0.5, 100, 50)
    assert config.networks["net"].training == TrainingSpec(augment=False, learning_rate=1e-4)
    assert raw["epsilon"] == "1e-3"  # what was given is left alone


def test_paths_are_expanded_as_a_shell_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("SCRATCH", "/scratch")
    assert load_config(changed("datasets.photos.root", "~/photos")).datasets["photos"].options["root"] == (
        "/home/me/photos"
    )
    network = load_config(changed("networks.net.weights", "${SCRATCH}/a.pt")).networks["net"]
    assert network.weights == "/scratch/a.pt"
    assert load_config(changed("networks.net.factory", "$HOME/net.py:make")).networks["net"].factory == (
        "/home/me/net.py:make"
    )
    (tmp_path / "cost$NOTHING").mkdir()
    there = str(tmp_path / "cost$NOTHING")
    assert load_config(changed("datasets.photos.root", there)).datasets["photos"].options["root"] == there


@pytest.mark.fault("a key given twice", "a sentence with both lines")
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("samples: 4\nradii: [1]\nsamples: 2\n", "key 'samples' is given twice, in lines 1 and 3; keep one"),
        ("networks:\n  a: {b: 1}\n  'a': {b: 2}\n", "key 'a' is given twice, in lines 2 and 3"),
        ("{samples: 1, samples: 2}", "key 'samples' is given twice, in lines 1 and 1; keep one"),
        ('{\n\t"samples": 1,\n\t"samples": 2}', "key 'samples' is given twice; keep one"),
        ("a: 1\n---\nb: 2\n", "is not YAML"),
    ],
)
def test_a_key_that_is_given_twice(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(EpsballError, match=sentence):
        read_yaml(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\ndraws: 010", "'010' in line 2 is 8 in YAML, in base 8; write 10; or put it in quotes if it is text"),
        ("seed: 017", "'017' in line 1 is 15 in YAML, in base 8; write 17"),
        ("seed: -0_17", "'-0_17' in line 1 is -15 in YAML, in base 8; write -17"),
        ("networks: {007: {}}", "'007' in line 1 is 7 in YAML, in base 8; write 7"),
        ("radii: [1:30]", "'1:30' in line 1 is 90 in YAML, in base 60; write out the numbers; or put it in quotes"),
        ("epsilon: 1:30.5", "'1:30.5' in line 1 is 90.5 in YAML, in base 60"),
    ],
)
def test_numbers_that_yaml_reads_in_another_base(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(EpsballError, match=sentence):
        read_yaml(tmp_path / "mine.yaml")


def test_numbers_that_mean_what_they_look_like(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("{a: 0, b: 0.5, c: -0, d: 1_000, e: 0x10, f: '010', g: 09, h: 1.5e+3, i: .inf}")
    right = {"a": 0, "b": 0.5, "c": 0, "d": 1000, "e": 16, "f": "010", "g": "09", "h": 1500.0, "i": float("inf")}
    assert read_yaml(tmp_path / "mine.yaml") == right


LAUGHS = "a0: &a0 [1, 1, 1]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
LAUGHING_KEYS = "a0: &a0 {k: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 9)
)


@pytest.mark.fault("a configuration that multiplies or nests itself ({id})", "a sentence, at once")
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            LAUGHS + "radii: *a8",
            r"mine.yaml': it has more than 100000 values once its aliases \(\*\) are resolved; write",
        ),
        (LAUGHING_KEYS, "it has more than 100000 values"),
        ("radii: &a [1, *a]", "it has more than 100000 values"),
        ("radii: " + "[" * 600 + "]" * 600, "is nested too deeply"),
        ('{"radii": ' + "[" * 100_000 + "]" * 100_000 + "}", "is nested too deeply"),
        ("run: 2024-13-45", "is not YAML: month must be in 1..12"),
        ("seed: " + "1" * 5000, "is not YAML: Exceeds the limit"),
    ],
    ids=["aliases", "merged keys", "itself", "depth", "depth in JSON", "date", "digits"],
)
def test_files_that_no_person_writes_are_refused_at_once(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(EpsballError, match=sentence):
        read_yaml(tmp_path / "mine.yaml")


@pytest.mark.parametrize("entry", ["{kind: factory, factory: 'a.py:b'}", "{kind: torchvision, name: MNIST, root: a}"])
def test_arguments_have_numbers(entry: str) -> None:
    """Snakemake reads a file by itself, so it is no matter of the loader alone."""
    given = "{t: 1e-3, many: [1E5, {u: -2.e3}], n: 3, text: '3', name: e3, hex: 0x1e3, on_: no, gap: 1 e3}"
    right = {"t": 0.001, "many": [1e5, {"u": -2000.0}], "n": 3, "text": "3", "name": "e3", "hex": 0x1E3, "on_": False}
    right["gap"] = "1 e3"
    text = f"datasets: {{d: {entry[:-1]}, args: {given}}}}}\n"
    text += f"networks: {{n: {{dataset: d, factory: 'a:b', args: {given}}}}}"
    config = load_config(yaml.safe_load(text))
    assert config.datasets["d"].options["args"] == config.networks["n"].args == right


def test_a_file_with_a_byte_order_mark_and_merged_keys(tmp_path: Path) -> None:
    text = "base: &base {a: 1, b: 2}\nmore:\n  <<: *base\n  a: 3\n"
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8-sig")
    assert read_yaml(tmp_path / "mine.yaml") == {"base": {"a": 1, "b": 2}, "more": {"a": 3, "b": 2}}
    (tmp_path / "mine.json").write_text('{\n\t"a": 1}', encoding="utf-8-sig")
    assert read_yaml(tmp_path / "mine.json") == {"a": 1}


def test_all_mistakes_come_at_once() -> None:
    raw = changed("draws", 1)
    raw["threshold"] = 7
    raw["networks"]["net"]["dataset"] = "nowhere"
    with pytest.raises(EpsballError) as caught:
        load_config(raw)
    assert len(str(caught.value).splitlines()) == 3


def test_a_list_with_a_wrong_entry_is_not_called_empty() -> None:
    with pytest.raises(EpsballError) as caught:
        load_config(changed("radii", ["a"]))
    assert str(caught.value) == "configuration: radii.0 is 'a'; expected: number"


def test_objects_built_in_code_are_plain_and_unchecked() -> None:
    config = load_config(changed("threads", 2))
    assert repr(config.compute) == "Compute(batch=20, threads=2, device='auto', float64_draws=4, compile=False)"
    assert replace(config.compute, float64_draws=0).float64_draws == 0


def test_gaussian_noise_has_an_l2_norm_alone() -> None:
    raw = {**MINIMAL, "noise": "gaussian"}
    assert load_config(raw).ball.noise == "gaussian"
    assert load_config({**raw, "noise": "sphere", "norm": "linf"}).ball.noise == "sphere"
    with pytest.raises(EpsballError, match="noise is 'gaussian', .*; it needs norm l2, not linf"):
        load_config({**raw, "norm": "linf"})


def test_missing_networks() -> None:
    with pytest.raises(EpsballError, match="the file has no key 'networks'"):
        load_config({"datasets": MINIMAL["datasets"]})


@pytest.mark.fault("{id}", "a sentence before any computing")
@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        pytest.param(
            "radii", [1, 1.00000001], "radii are .*; they must be different, and finite, in float32", id="equal radii"
        ),
        pytest.param(
            "radii", [1, 1e300], "radii are .*; they must be different, and finite, in float32", id="a huge radius"
        ),
        pytest.param(
            "radii", [1, float("nan")], "radii.1 is nan; expected: a finite number", id="a radius that is no number"
        ),
        pytest.param("radii", [1, 10**400], "radii", id="a radius beyond all floats"),
        pytest.param("epsilon", 0, r"^configuration: epsilon is 0; it must be above 0$", id="an epsilon of 0"),
        pytest.param("radii", [float("inf")], "radii.0 is inf; expected: a finite number", id="an infinite radius"),
        pytest.param(
            "epsilon", 1e-300, "epsilon is 1e-300; they must be different", id="an epsilon that is 0 in float32"
        ),
        pytest.param(
            "threshold", float("nan"), "threshold is nan; expected: a finite number", id="a threshold that is no number"
        ),
        pytest.param(
            "threshold", 1 - 1e-17, "threshold is 1.0; it must be below 1", id="a threshold that is 1 in float64"
        ),
        pytest.param(
            "datasets",
            {"signs": {"kind": "imagefolder", "root": "here/" + "r" * 300}},
            r"datasets\.signs\.root is 'here/r+… \(307 characters\); names of files and folders have at most 255 bytes",
            id="a name of a folder of 300 letters",
        ),
        pytest.param(
            "run", "r" * 300, r"run is 'r+… \(302 characters\); expected: .* at most 80", id="a name of 300 letters"
        ),
        pytest.param("run", "r\n", "run is 'r\\\\n'; expected: letters", id="a name with a newline"),
        pytest.param("extra_probes", [["gradient"]], "extra_probes.0 is .*; expected: string", id="a list for a name"),
        pytest.param("noise", "x" * 10**6, r"noise is 'x+… \(1000002 characters\)", id="a word of a million letters"),
    ],
)
def test_values_that_nothing_can_be_made_of(key: str, value: Any, sentence: str) -> None:
    with pytest.raises(EpsballError, match=sentence) as error:
        load_config(changed(key, value))
    assert len(str(error.value)) < 1000
