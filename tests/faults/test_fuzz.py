"""Random configurations, images, tables and records: whatever they hold, a sentence or a result, never a traceback."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from epsball.config import load_config
from epsball.config.reading import read_yaml
from epsball.data import images
from epsball.errors import EpsballError
from epsball.runs import files, provenance_records
from epsball.runs.contents import Contents
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from PIL import Image
from support.study import BASE

pytestmark = pytest.mark.slow

RIGHT = "a sentence, or a result, and no traceback"

settings.register_profile("fuzz", deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
settings.load_profile("fuzz")

VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=8) | some.just("x" * 10_000),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(raw: Any, *above: Any) -> list[tuple[Any, ...]]:
    """Each place in a configuration, by its keys."""
    entries = raw.items() if isinstance(raw, dict) else enumerate(raw) if isinstance(raw, list) else ()
    return [place for key, inner in entries for place in [(*above, key), *places(inner, *above, key)]]


WHOLE: dict[str, Any] = {
    **BASE,
    "controls": ["rbf"],
    "extra_probes": ["gradient"],
    "white_box": {"draws": 3, "layers": {"one": ["0"]}},
    "datasets": {**BASE["datasets"], "signs": {"kind": "signs", "train": 100, "seed": 3}},
    "networks": {**BASE["networks"], "sign": {"dataset": "signs", "factory": "sign:ciresan2012", "training": {}}},
}


@pytest.mark.fault("a configuration with any value in the place of another", RIGHT)
@given(some.sampled_from(places(WHOLE)), VALUES)
@settings(max_examples=600)
def test_a_value_that_is_replaced(place: tuple[Any, ...], value: Any) -> None:
    raw = json.loads(json.dumps(WHOLE))
    *above, last = place
    inner = raw
    for key in above:
        inner = inner[key]
    inner[last] = value
    says_or_reads(lambda: load_config(raw))


@pytest.mark.fault("a configuration of keys and values at random", RIGHT)
@given(some.dictionaries(some.sampled_from(sorted(WHOLE)) | some.text(max_size=8), VALUES, max_size=5))
@settings(max_examples=200)
def test_keys_and_values_at_random(raw: dict[str, Any]) -> None:
    says_or_reads(lambda: load_config(raw))


@pytest.mark.fault("text at random for a configuration", RIGHT)
@given(some.text(alphabet="a1:-[]{}&*!|>'\"#,.\n\t ?%@é", max_size=60) | some.text())
@settings(max_examples=400)
def test_text_for_a_configuration(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    says_or_reads(lambda: read_yaml(path))


@pytest.mark.fault("bytes at random for a configuration", RIGHT)
@given(some.binary(max_size=60))
def test_bytes_for_a_configuration(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(content)
    says_or_reads(lambda: read_yaml(path))


def says_or_reads(act: Callable[[], object]) -> None:
    """What is wrong is said, and not at length."""
    try:
        act()
    except EpsballError as error:
        assert str(error).strip()
        assert max(map(len, str(error).splitlines())) < 2000


# How content is damaged: bytes that are flipped, where it is cut, and what is put in.
DAMAGE = some.tuples(
    some.lists(some.tuples(some.floats(0, 1, exclude_max=True), some.integers(1, 255)), max_size=6),
    some.floats(0, 1),
    some.binary(max_size=12),
)


def damaged(content: bytes, damage: tuple[list[tuple[float, int]], float, bytes]) -> bytes:
    """Content with damage done to it."""
    flips, cut, insert = damage
    changed = bytearray(content)
    for place, bits in flips:
        changed[int(place * len(changed))] ^= bits
    at = int(cut * len(changed))
    return bytes(changed[:at] + insert + changed[at:]) if insert else bytes(changed[: at or None])


def encoded(form: str, mode: str) -> bytes:
    """A picture in a file's format."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, 24, 4), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, form)
    return file.getvalue()


PICTURES = [
    encoded(form, mode)
    for form, mode in [("PNG", "RGBA"), ("JPEG", "CMYK"), ("GIF", "P"), ("BMP", "RGB"), ("PPM", "L"), ("TIFF", "RGB")]
]


@pytest.mark.fault("a picture with bytes flipped, cut or put in", RIGHT)
@given(some.sampled_from(PICTURES), DAMAGE)
@settings(max_examples=400)
def test_a_picture(tmp_path_factory: pytest.TempPathFactory, content: bytes, damage: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.png"
    path.write_bytes(damaged(content, damage))

    def read() -> None:
        picture = images.read(path, 8, 8)
        assert picture.dtype == np.uint8
        assert picture.shape == (8, 8, 3)

    says_or_reads(read)


TABLE = pd.DataFrame({"sample": ["a", "b"], "radius": [0.1, 1.0], "rho": [np.nan, 0.5]})


@pytest.mark.fault("a table ({id}) with bytes flipped, cut or put in", RIGHT)
@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".tsv"])
@given(damage=DAMAGE)
@settings(max_examples=150)
def test_a_table(tmp_path_factory: pytest.TempPathFactory, suffix: str, damage: Any) -> None:
    path = tmp_path_factory.getbasetemp() / f"fuzz{suffix}"
    files.write_table(path, TABLE)
    path.write_bytes(damaged(path.read_bytes(), damage))
    says_or_reads(lambda: files.read_table(path))


@pytest.mark.fault("a record with bytes flipped, or another value under a key", RIGHT)
@given(DAMAGE, VALUES, some.sampled_from(["sha256", "made", "rule", "again", "inputs", "versions", "stamp"]))
@settings(max_examples=150)
def test_a_record(tmp_path_factory: pytest.TempPathFactory, damage: Any, value: Any, key: str) -> None:
    run = tmp_path_factory.getbasetemp() / "results" / "fuzz"
    files.write_table(made := run / "claims.tsv", TABLE)
    provenance_records.record([str(made)], {}, "claims", {}, "one", {}, BASE)
    record = run / "provenance" / "claims.tsv.json"
    whole = record.read_bytes()
    record.write_bytes(damaged(whole, damage))
    provenance_records.last(made)
    record.write_text(json.dumps({**json.loads(whole), key: value}))
    provenance_records.last(made)
    provenance_records.made_with(made)
    record.unlink()


@pytest.mark.fault("a memory of digests with any content", RIGHT)
@given(VALUES, VALUES)
def test_a_memory_of_digests(tmp_path_factory: pytest.TempPathFactory, asked: Any, remembered: Any) -> None:
    folder = tmp_path_factory.getbasetemp()
    kept, path = folder / "contents.json", folder / "content"
    path.write_text("one")
    kept.write_text(json.dumps({"asked": asked, "files": {str(path): remembered}}))
    assert Contents(kept, fixed=True).digest(path) == files.digest(path)
