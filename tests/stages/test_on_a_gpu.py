"""Every stage on a GPU, where there is one, and on one that is pretended: the CPU's numbers, but for rounding.

On the pretended one, what is on the device meets nothing that is not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from epsball import controls, probes
from epsball.config import Attack, WhiteBox
from epsball.networks import forward
from epsball.networks.forward import Forward, configure
from epsball.networks.model import Network
from epsball.perturbations import families
from epsball.perturbations.families import FAMILIES
from epsball.stages.measure_controls import measure_control
from epsball.stages.measure_white_box import measure_white_box
from epsball.stages.perturb import perturb
from support.pretended import DEVICE, Pretended
from support.toys import BALL, COMPUTE, CONTEXT, SIZE, Stages, sure_net
from support.whole_run import make_run
from torch import nn

pytestmark = pytest.mark.slow

WHITE_BOX = [name for name in probes.PROBES if probes.is_white_box(name)]


class There(NamedTuple):
    """Runs something on a device; how far numbers may be from the CPU's."""

    run: Callable[[Callable[[], Any]], Any]
    rtol: float
    atol: float


@pytest.fixture(
    params=[
        DEVICE,
        pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")),
    ]
)
def there(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> There:
    pretends = request.param == DEVICE

    def run(what: Callable[[], Any]) -> Any:
        pretended = Pretended() if pretends else contextlib.nullcontext()  # type: ignore[no-untyped-call]
        with monkeypatch.context() as patch, pretended:
            patch.setattr(forward, "device", lambda name: request.param)
            configure(COMPUTE)
            return what()

    # Permutation tests and searches take steps.
    return There(run, *(1e-4, 1e-6) if pretends else (0.05, 0.02))


def pooled_net() -> nn.Sequential:
    """As `sure_net`, with layers that have no deterministic derivative on a GPU."""
    return nn.Sequential(*sure_net()[:2], nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(2), *sure_net()[2:])


def test_what_a_gpu_refuses_is_refused() -> None:
    with Pretended():  # type: ignore[no-untyped-call]
        tensor = torch.ones(3, device=DEVICE)
        assert (tensor + 1).cpu().tolist() == [2, 2, 2]
        with pytest.raises(RuntimeError, match="same device"):
            tensor + torch.ones(3)
        with pytest.raises(RuntimeError, match="numpy"):
            tensor.numpy()


def test_a_run(there: There, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"controls": [], "extra_probes": ["topology_mixed_radius", "alpha"], "drawn": False}
    runs = []
    for place, run in (("here", lambda what: what()), ("there", there.run)):
        (tmp_path / place).mkdir()
        runs.append(run(partial(make_run, tmp_path / place, **changes))[1])
    here, other = (pd.read_csv(run / "claims.tsv", sep="\t") for run in runs)
    pd.testing.assert_series_equal(here["verdict"], other["verdict"])
    with np.load(runs[0] / "illustrations/squares.npz") as one, np.load(runs[1] / "illustrations/squares.npz") as two:
        assert (one["images"] == two["images"]).all()
        np.testing.assert_allclose(one["score"], two["score"], rtol=there.rtol, atol=there.atol)


@pytest.mark.parametrize("family", FAMILIES)
def test_activations(there: There, stages: Stages, family: str) -> None:
    ball = families.ball(BALL, family)
    here = stages.extract(sure_net(), family, stages.folder / "a.zarr.zip", ball, COMPUTE).load()
    one, again = (
        there.run(partial(stages.extract, sure_net(), family, path, ball, COMPUTE)).load()
        for path in (stages.folder / "b.zarr.zip", stages.folder / "c.zarr.zip")
    )
    xr.testing.assert_identical(one, again)
    for name, values in here.data_vars.items():
        tolerance = 1e-10 if str(name).startswith("float64") else 1e-4
        np.testing.assert_allclose(one[name], values, rtol=tolerance, atol=tolerance, err_msg=str(name))


@pytest.mark.parametrize("probe", WHITE_BOX)
def test_white_box_probes(there: There, stages: Stages, probe: str) -> None:
    def measured() -> pd.DataFrame:
        network = Network(pooled_net().eval().requires_grad_(False), None)
        network.find_classifier(torch.rand(3, SIZE, SIZE))
        # Foolbox makes tensors on the device where the one that pretends does not see it.
        own: tuple[Attack, ...] = ("fgsm", "lbfgs", "aghdam")
        passes, settings = Forward(network, COMPUTE), WhiteBox(draws=4, directions=2, clever_batches=2, attacks=own)
        table = measure_white_box(probe, network, "net", passes, stages.samples[:2], stages.pool, BALL, settings, 0.5)
        return table.drop(columns=["iterations", "residual"], errors="ignore")

    configure(COMPUTE)
    pd.testing.assert_frame_equal(measured(), there.run(measured), rtol=there.rtol, atol=there.atol)


@pytest.mark.parametrize("control", controls.CONTROLS)
def test_controls(there: There, stages: Stages, control: str) -> None:
    [*names] = controls.control(control).PROBES
    drawn = {family: stages.folder / f"{family}.zarr.zip" for family in {probes.family_of(name) for name in names}}
    for family, path in drawn.items():
        perturb(family, stages.samples, stages.pool, families.ball(BALL, family), path, {})

    def measured() -> pd.DataFrame:
        network = Network(pooled_net().eval().requires_grad_(False), None)
        passes = Forward(controls.of(control, network, stages.pool, 3), COMPUTE)
        tables = measure_control(passes, names, stages.samples, stages.pool, drawn, BALL, COMPUTE, CONTEXT, "net")
        return pd.concat(tables.values(), ignore_index=True)

    configure(COMPUTE)
    pd.testing.assert_frame_equal(measured(), there.run(measured), rtol=there.rtol, atol=there.atol)
