"""The page on perturbations says enough: noise that is made again from it alone is the library's, bit for bit."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from epsball.config import Noise, Norm
from epsball.data.images import digest
from epsball.perturbations.ball import Draws
from epsball.perturbations.families import FAMILIES, family
from epsball.stages.select import sample_seed
from numpy.typing import NDArray
from support.naive_philox import naive_word
from support.toys import BALL, ROOT

PAGE = (ROOT / "docs" / "explanation" / "perturbations.md").read_text(encoding="utf-8")
SHAPE = (10, 19, 3)  # patches that are cut off at the right and at the bottom
TABLE = np.array([round(2**20 * NormalDist().inv_cdf((i + 0.5) / 2**16)) for i in range(2**16)])


def part(name: str) -> str:
    """What stands between two marks of the page."""
    return PAGE.split(f"<!-- {name} -->")[1].split(f"<!-- end of {name} -->")[0]


def streams() -> dict[str, list[int | None]]:
    """The streams of each family by the page: of integers, permutations and norms."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part("streams").strip().splitlines()[2:]]
    return {name.strip("`"): [int(cell) if cell else None for cell in cells] for name, *cells in rows}


def seed_of(run_seed: int, image: NDArray[np.uint8]) -> int:
    """The seed of a sample, by the page."""
    of_image = hashlib.sha256(str(image.shape).encode() + image.tobytes()).hexdigest()
    return int.from_bytes(hashlib.sha256(f"{run_seed} {of_image}".encode()).digest()[:8], "big")


class Remade:
    """The noise of a sample at a radius, made from the page."""

    def __init__(self, name: str, seed: int, radius: float, norm: Norm, noise: Noise) -> None:
        self.name, self.seed, self.radius, self.norm, self.noise = name, seed, radius, norm, noise
        self.integers, self.permutations, self.norms = streams()[name]
        rows, columns, channels = np.indices(SHAPE).reshape(3, -1)
        self.channel = channels
        self.patch = (rows // 8 * -(-SHAPE[1] // 8) + columns // 8) * 3 + channels

    def words(self, stream: int | None, draw: int, count: int) -> NDArray[np.int64]:
        assert stream is not None
        return np.array([naive_word(self.seed, stream, self.radius, draw, element) for element in range(count)])

    def draw(self, draw: int) -> NDArray[np.float32]:
        first = 0 if self.permutations is not None else draw
        vector = self.scaled(self.drawn(first), draw)
        if self.permutations is None:
            return vector
        if self.name == "permuted_pixels":
            order = np.argsort(self.words(self.permutations, draw, vector.size // 3), kind="stable")
            return vector.reshape(-1, 3)[order].ravel()
        words = self.words(self.permutations, draw, vector.size)
        groups = {"permuted_channels": self.channel, "permuted_patches": self.patch}.get(self.name)
        if groups is None:
            return vector[np.argsort(words, kind="stable")]
        permuted = np.empty_like(vector)
        for group in np.unique(groups):
            places = np.flatnonzero(groups == group)
            permuted[places] = vector[places[np.argsort(words[places], kind="stable")]]
        return permuted

    def drawn(self, draw: int) -> NDArray[np.int64]:
        coarse = "low_frequency" in self.name
        words = self.words(self.integers, draw, int(self.patch.max()) + 1 if coarse else self.patch.size)
        integers = 2 * (words // 2**9) + 1 - 2**23 if self.noise == "uniform" else TABLE[words // 2**16]
        return integers[self.patch] if coarse else integers

    def scaled(self, integers: NDArray[np.int64], draw: int) -> NDArray[np.float32]:
        radius = self.radius
        if self.norms is not None:
            radius *= float((self.words(self.norms, draw, 1)[0] + 1) / 2**32)
        if self.noise == "gaussian":
            length = np.sqrt(integers.size) * np.sqrt(int((TABLE**2).sum()) / 2**16)
        elif self.norm == "l2":
            length = np.sqrt(float(sum(int(u) ** 2 for u in integers)))
        else:
            length = 255.0 * int(np.abs(integers).max())
        return integers.astype(np.float32) * np.float32(radius / length)


CASES: list[tuple[float, Norm, Noise]] = [
    (0.1, "l2", "uniform"),
    (20.0, "linf", "uniform"),
    (2.5, "l2", "sphere"),
    (7.3, "linf", "sphere"),
    (3.0, "l2", "gaussian"),
]


@pytest.mark.parametrize(("radius", "norm", "noise"), CASES)
@pytest.mark.parametrize("name", FAMILIES)
def test_noise_that_is_made_from_the_page_is_the_librarys(name: str, radius: float, norm: Norm, noise: Noise) -> None:
    seed, draws, spec = 2**63 + 12345678901, range(4, 6), replace(BALL, norm=norm, noise=noise)
    made = family(name).draw(Draws(seed=seed, radius=radius, draws=draws, shape=SHAPE, spec=spec)).numpy()
    remade = Remade(name, seed, radius, norm, noise)
    assert np.array_equal(np.stack([remade.draw(draw) for draw in draws]), made)


def test_the_page_has_the_streams_of_all_families() -> None:
    assert {name: tuple(found for found in each if found is not None) for name, each in streams().items()} == {
        name: family(name).STREAMS for name in FAMILIES
    }


def test_the_seed_of_a_sample_is_that_of_the_page() -> None:
    image = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    assert seed_of(2017, image) == sample_seed(2017, digest(image))


def test_the_pages_words_and_constants() -> None:
    words = [naive_word(7, 0, 2.5, 1, element) for element in range(5)]
    assert [int(found.replace(",", "")) for found in re.findall(r"[\d,]*\d", part("words"))] == words
    # Those of tests/support/naive_philox.py, which gives the published answers.
    assert {"0xD2511F53", "0xCD9E8D57", "0x9E3779B9", "0xBB67AE85"} == set(re.findall("0x[0-9A-F]{8}", PAGE))
