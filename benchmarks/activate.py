"""Images/s through the activate stage against the bare forward rate of the same network in the same run.

python benchmarks/activate.py [samples]

Both are eager, channels last, with the same batch size, threads and allocator. The stage has the noise, the scaling,
the scores, the floor's passes in float64 and the store on top; the last column leaves the float64 passes out.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import torch
import yaml
from epsball import networks
from epsball.activation import activate, passes_per_sample
from epsball.config import load_config
from epsball.datasets import open_pool
from epsball.forward import Forward, configure
from epsball.images import digest

REPOSITORY = Path(__file__).parent.parent
SECONDS = 4.0


class _Timed(Forward):
    """Counts the time of the float64 passes."""

    seconds = 0.0

    def exact(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        start = time.perf_counter()
        out = super().exact(images)
        self.seconds += time.perf_counter() - start
        return out


def bare_rate(forward: Forward, image: torch.Tensor, batch: int) -> float:
    """Images a second of forward passes alone."""
    images = image.expand(batch, -1, -1, -1).contiguous(memory_format=torch.channels_last)
    forward(images)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        forward(images)
        count += batch
    return count / (time.perf_counter() - start)


def main(samples: int) -> None:
    """Print a table of all networks and families of the default configuration."""
    config = load_config(yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text(encoding="utf-8")))
    compute, ball = config.compute, config.ball
    configure(compute)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for spec in config.networks.values():
            dataset = config.datasets[spec.dataset]
            pool = open_pool(dataset, Path(folder))
            torch.manual_seed(0)
            table = pd.DataFrame(
                {"sample": pool.names[:samples], "image": pool.names[:samples], "label": pool.labels[:samples]}
            ).assign(seed=range(samples), shard=0, digest=[digest(pool.read(number)) for number in range(samples)])
            image = torch.from_numpy(pool.read(0).copy()).permute(2, 0, 1)[None].float() / 255
            for family in ("uniform", "permuted"):
                forward = _Timed(networks.open_network(spec), compute)
                before = bare_rate(forward, image, compute.batch)
                start = time.perf_counter()
                path = Path(folder) / spec.name / family / "0.zarr.zip"
                activate(family, forward, table, pool, ball, compute, path, {})
                seconds = time.perf_counter() - start
                bare = (before + bare_rate(forward, image, compute.batch)) / 2
                images = samples * passes_per_sample(ball, compute)
                rows.append(
                    {
                        "network": spec.name,
                        "family": family,
                        "bare, images/s": round(bare, 1),
                        "activate, images/s": round(images / seconds, 1),
                        "ratio": round(images / seconds / bare, 2),
                        "ratio without float64": round(images / (seconds - forward.seconds) / bare, 2),
                    }
                )
                print(pd.DataFrame(rows[-1:]).to_string(index=False, header=len(rows) == 1), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4)
