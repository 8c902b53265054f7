"""Write how near attacks come to a network's samples, side by side: python docs/attacks.py, after the default run.

Beside the attacks of the probe `boundary` are others of Foolbox and, if it is installed (pip install adv-lib), of
adversarial-library. Each point is cut down to the boundary along its ray, by the same search. Passes are images through
the network, most of them backwards too. Takes an hour on two cores; `--samples` takes fewer.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import foolbox
import numpy as np
import pandas as pd
import torch
from epsball.analysis.run import Run, open_run
from epsball.data import open_pool
from epsball.networks import model
from epsball.networks.forward import configure
from epsball.robustness import boundary
from epsball.robustness.attacks import Target
from epsball.robustness.differentiation import differentiating
from epsball.robustness.ensemble import ATTACKS, REFINEMENTS
from epsball.stages.perturb import sample_images
from epsball.stages.select import of_network
from marked import put, table
from torch import Tensor, nn

DOCS = Path(__file__).parent
PAGE = DOCS / "explanation" / "boundary.md"
MARGIN = 1.0  # by which the box of the others, who need one, is larger than [0, 1] to each side
OURS = "all of epsball's"

Attack = Callable[[Target], Tensor]


@dataclass
class Counted:
    """A network that counts the images that pass."""

    network: model.Network
    passes: int = field(default=0)

    def __call__(self, images: Tensor) -> Tensor:
        """Compute logits."""
        self.passes += len(images)
        logits: Tensor = self.network(images)[0]
        return logits


def _module(function: Callable[[Tensor], Tensor]) -> nn.Module:
    module = nn.Module().eval()
    module.forward = function
    return module


def of_foolbox(attack: Any, target: Target) -> Tensor:
    """Run an attack of Foolbox."""
    wrapped = foolbox.PyTorchModel(_module(target.logits), bounds=(-MARGIN, 1 + MARGIN), device="cpu")
    _, points, _ = attack(wrapped, target.image[None], torch.tensor([target.label]), epsilons=None)
    point: Tensor = points[0].detach()
    return point


def of_adv_lib(attack: Any, target: Target) -> Tensor:
    """Run an attack of adversarial-library, whose images are in [0, 1]."""
    width = 1 + 2 * MARGIN
    scaled = _module(lambda images: target.logits(images * width - MARGIN))
    found = attack(scaled, (target.image[None] + MARGIN) / width, torch.tensor([target.label]))
    point: Tensor = found[0].detach() * width - MARGIN
    return point


def others() -> dict[str, Attack]:
    """Return the attacks of other packages, by name, with their own settings but for the number of steps."""
    attacks = foolbox.attacks
    found: dict[str, Attack] = {
        f"Foolbox {name}": functools.partial(of_foolbox, attack)
        for name, attack in {
            "FMN, 100 steps": attacks.L2FMNAttack(steps=100),
            "DDN, 300 steps": attacks.DDNAttack(steps=300),
            "Carlini & Wagner, 6 × 200 steps": attacks.L2CarliniWagnerAttack(binary_search_steps=6, steps=200),
            "Brendel & Bethge, 300 steps": attacks.L2BrendelBethgeAttack(steps=300),
        }.items()
    }
    if importlib.util.find_spec("adv_lib") is None:
        return found
    from adv_lib.attacks import alma, fab, fmn, pdgd, sdf
    from adv_lib.attacks.auto_pgd import minimal_apgd

    distance = 1 / (1 + 2 * MARGIN)  # a first step of length 1
    of_the_library = {
        "FMN, 1000 steps": functools.partial(fmn, norm=2, steps=1000),
        "ALMA, 100 steps": functools.partial(alma, num_steps=100, α=0.5, init_lr_distance=distance),
        "ALMA, 1000 steps": functools.partial(alma, num_steps=1000, init_lr_distance=distance),
        "PDGD, 500 steps": functools.partial(pdgd, num_steps=500),
        "FAB, 20 steps": functools.partial(fab, norm=2, n_iter=20),
        "APGD, 10 × 50 steps": functools.partial(
            minimal_apgd, norm=2, max_eps=8 * distance, binary_search_steps=10, n_iter=50
        ),
        "SuperDeepFool": sdf,
    }
    return found | {f"adv-lib {name}": functools.partial(of_adv_lib, each) for name, each in of_the_library.items()}


def of_samples(run: Run, network: str, samples: int) -> Iterator[tuple[str, Target, Counted]]:
    """Yield the first samples of a network as targets."""
    spec = run.config.networks[network]
    counted = Counted(model.restore(spec, run.folder / "networks" / network / "weights.safetensors"))
    pool = open_pool(run.config.datasets[spec.dataset], run.folder / "datasets" / spec.dataset)
    for row, image in sample_images(of_network(run.samples(spec.dataset), network).head(samples), pool):
        pixels = image.permute(2, 0, 1)
        limit = boundary.search_limit(pixels.numel())
        yield str(row.sample), Target(counted, pixels, int(row.label), run.config.ball.clip, limit), counted


def nearest(target: Target, point: Tensor) -> boundary.Crossing:
    """Cut a point down to the boundary along its ray."""
    length = boundary.separation(target.image, point)
    if not 0 < length < np.inf:
        return boundary.Crossing(np.inf, -1, None)
    scan = [length * (1 + boundary.TOLERANCE)]
    [found] = boundary.crossings(target.plain, target.image, target.label, [(point - target.image) / length], [scan])
    return found


def attacked(target: Target, counted: Counted) -> pd.DataFrame:
    """Run every attack on a sample: its distance and passes."""
    rows: dict[str, tuple[float, int]] = {}
    best = boundary.Crossing(np.inf, -1, None)
    for name, attack in ATTACKS.items():
        counted.passes = 0
        found = nearest(target, attack(target))
        rows[name] = found.distance, counted.passes
        best = min(best, found, key=lambda one: one.distance)
    for name, refine in REFINEMENTS.items():
        counted.passes = 0
        point = target.image if best.image is None else refine(target, best.image)
        rows[name] = nearest(target, point).distance, counted.passes
    rows[OURS] = min(distance for distance, _ in rows.values()), sum(passes for _, passes in rows.values())
    for name, attack in others().items():
        counted.passes = 0
        with differentiating(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            point = attack(target)
        rows[name] = nearest(target, point).distance, counted.passes
    return pd.DataFrame.from_dict(rows, orient="index", columns=["distance", "passes"]).rename_axis("attack")


def main(folder: Path, samples: int) -> None:
    """Attack the samples of a run's trained networks, and write the page."""
    run = open_run(folder)
    configure(run.config.compute)
    tables = {}
    for network in (name for name, spec in run.config.networks.items() if spec.training):
        for sample, target, counted in of_samples(run, network, samples):
            tables[network, sample] = attacked(target, counted)
            print(f"{network} {sample}", flush=True)
    found = pd.concat(tables, names=["network", "sample"]).reset_index()
    by_sample = found["distance"].where(found["attack"].isin(others())).groupby([found["network"], found["sample"]])
    found["ratio"] = found["distance"] / by_sample.transform("min")
    networks = list(dict.fromkeys(found["network"]))
    rows = []
    for name, of_attack in found.groupby("attack", sort=False):
        by_network = of_attack.groupby("network")["ratio"]
        cells = [f"{by_network.median()[each]:.3f} ({by_network.max()[each]:.3f})" for each in networks]
        rows.append([name, *cells, f"{of_attack['passes'].median():.0f}"])
    put(PAGE, "attacks side by side", table(["attack", *networks, "passes"], rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", default=DOCS.parent / "results" / "default")
    parser.add_argument("--samples", type=int, default=20)
    given = parser.parse_args()
    main(given.run, given.samples)
