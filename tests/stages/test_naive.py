"""Every probe against plain loops, NumPy, SciPy and scikit-bio, starting from the definition of the noise."""

from __future__ import annotations

import copy
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
import torch
from epsball.config import Ball
from epsball.probes import Context
from epsball.probes.normalisers import Scales
from scipy.spatial.distance import pdist, squareform
from scipy.special import softmax
from skbio.stats.distance import mantel
from support.naive_philox import naive_word
from support.toys import BALL, COMPUTE, PERMUTATION, PERMUTED_BASE, UNIFORM, Stages, conv_net
from torch import nn

pytestmark = pytest.mark.slow

CONTEXT = Context(Scales(g=0.5, h=1.25), mantel_permutations=199)


QUANTILES = np.array([NormalDist().inv_cdf((2 * place + 1) / 2**17) for place in range(2**16)])


def naive_vectors(seed: int, radius: float, family: str, size: int, spec: Ball) -> list[np.ndarray]:
    """Eq. 4 and 6, number by number."""
    vectors = []
    for draw in range(spec.draws):
        stream, base = (UNIFORM, draw) if family == "uniform" else (PERMUTED_BASE, 0)
        words = [naive_word(seed, stream, radius, base, element) for element in range(size)]
        if spec.noise == "uniform":
            v = np.array([(word // 2**9) * 2 + 1 - 2**23 for word in words]) / 2**23
        else:
            v = QUANTILES[[word // 2**16 for word in words]]
        if family == "permuted":
            keys = [naive_word(seed, PERMUTATION, radius, draw, element) for element in range(size)]
            v = v[sorted(range(size), key=lambda element: (keys[element], element))]
        if spec.noise == "gaussian":
            vectors.append(v * radius / np.sqrt(size))
            continue
        length = np.linalg.norm(v) if spec.norm == "l2" else 255 * np.abs(v).max()
        vectors.append(v * (radius / length))
    return vectors


def naive_outputs(
    module: nn.Sequential, stages: Stages, family: str, spec: Ball
) -> list[tuple[pd.Series, float, np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Row, radius, clean image, perturbed images, logits, features with the clean image's last; in float64."""
    module = copy.deepcopy(module).double()
    out = []
    for _, row in stages.samples.iterrows():
        x = stages.pool.read(list(stages.pool.names).index(row["image"])) / np.float32(255)
        for radius in spec.radii:
            vectors = naive_vectors(int(row["seed"]), radius, family, x.size, spec)
            images = [(x + v.reshape(x.shape).astype(np.float32)).astype(np.float64) for v in vectors]
            images = [np.clip(image, 0, 1) for image in images] if spec.clip else images
            batch = torch.from_numpy(np.stack([*images, x.astype(np.float64)]).transpose(0, 3, 1, 2))
            features = module[:-1](batch)
            logits = module[-1](features)
            out.append((row, radius, x, np.stack(images), logits.detach().numpy(), features.detach().numpy()))
    return out


SPECS = [
    BALL,
    replace(BALL, norm="linf", radii=(0.0, 0.1, 20.0)),
    replace(BALL, clip=True),
    replace(BALL, noise="sphere"),
    replace(BALL, noise="gaussian"),
]


@pytest.mark.parametrize("spec", SPECS, ids=["l2", "linf", "clip", "sphere", "gaussian"])
@pytest.mark.parametrize(("name", "family"), [("isotropy", "uniform"), ("symmetry", "permuted")])
def test_ranges(stages: Stages, name: str, family: str, spec: Ball) -> None:
    module = conv_net()
    table = stages.run(module, name, ball=spec)
    rows = []
    for number, (row, radius, x, images, logits, _) in enumerate(naive_outputs(module, stages, family, spec)):
        label, drawn = row["label"], logits[:-1]
        score = softmax(drawn, axis=1)[:, label]
        margin = drawn[:, label] - np.delete(drawn, label, axis=1).max(axis=1)
        rows.append(
            {
                "sample": row["sample"],
                "radius": radius,
                "draws": spec.draws,
                "score_min": score.min(),
                "score_max": score.max(),
                "score_mean": score.mean(),
                "score_sd": np.std(score, ddof=1),
                "range": score.max() - score.min(),
                "margin_min": margin.min(),
                "margin_max": margin.max(),
                "margin_sd": margin.std(ddof=1),
                "margin_range": margin.max() - margin.min(),
                "rms": np.mean([np.sqrt(np.mean((image - x) ** 2)) for image in images]),
                "fraction_outside": np.mean((images < 0) | (images > 1)),
                "misclassified": np.mean(drawn.argmax(axis=1) != label),
            }
        )
        # Draws that are all but equal in float64 may be in another order in float32.
        for column, end in (("draw_min", score.min()), ("draw_max", score.max())):
            assert score[table[column].to_numpy()[number]] == pytest.approx(end, abs=2e-6)
        assert table["prediction_min"][number] == drawn[table["draw_min"].to_numpy()[number]].argmax()
    expected = pd.DataFrame(rows)
    pd.testing.assert_frame_equal(table[expected.columns], expected, rtol=1e-4, atol=2e-6, check_dtype=False)


def test_topology(stages: Stages) -> None:
    module = conv_net()
    table = stages.run(module, "topology", context=CONTEXT)
    for (row, radius, _, images, _, features), found in zip(
        naive_outputs(module, stages, "uniform", BALL), table.itertuples(), strict=True
    ):
        if radius == 0:
            assert np.isnan(float(str(found.rho)))
            continue
        before, after = squareform(pdist(images.reshape(len(images), -1))), squareform(pdist(features[:-1]))
        rho, p_value, _ = mantel(before, after, permutations=199, seed=np.random.default_rng(int(row["seed"])))
        assert found.rho == pytest.approx(rho, abs=2e-3 if radius < 1 else 1e-4)
        assert found.p_value == pytest.approx(p_value, abs=0.03)


def test_lipschitz(stages: Stages) -> None:
    module = conv_net()
    table = stages.run(module, "lipschitz", context=CONTEXT)
    rows = []
    for row, radius, x, images, _, features in naive_outputs(module, stages, "uniform", BALL):
        for draw in range(BALL.draws):
            raw_in = np.linalg.norm(images[draw] - x)
            raw_out = np.linalg.norm(features[draw] - features[-1])
            rows.append(
                {
                    "sample": row["sample"],
                    "radius": radius,
                    "draw": draw,
                    "d_in": raw_in * 1.25,
                    "d_out": raw_out * 0.5,
                    "ratio": raw_out * 0.5 / (raw_in * 1.25) if radius else np.nan,
                    "ratio_raw": raw_out / raw_in if radius else np.nan,
                }
            )
    expected = pd.DataFrame(rows)
    pd.testing.assert_frame_equal(table[expected.columns], expected, rtol=1e-4, atol=1e-6, check_dtype=False)


def test_shards_batches_and_threads(stages: Stages) -> None:
    """Identical tables for other shards; float rounding alone for another batch size."""
    module = conv_net()
    whole = stages.run(module, "lipschitz")
    every = stages.samples
    parts = []
    for number in range(len(every)):
        stages.samples = every.iloc[[number]]
        parts.append(stages.run(module, "lipschitz"))
    pd.testing.assert_frame_equal(whole, pd.concat(parts, ignore_index=True), check_exact=True)
    stages.samples = every.iloc[::-1]
    backwards = stages.run(module, "lipschitz").sort_values(["sample", "radius", "draw"], ignore_index=True)
    pd.testing.assert_frame_equal(whole, backwards, check_exact=True)
    stages.samples = every
    other = stages.run(module, "lipschitz", compute=replace(COMPUTE, batch=7))
    pd.testing.assert_frame_equal(whole[["d_in"]], other[["d_in"]], check_exact=True)
    pd.testing.assert_frame_equal(whole, other, rtol=1e-3, atol=1e-6)
