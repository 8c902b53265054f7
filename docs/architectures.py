"""Try every probe and control on architectures by name, and write what works: python docs/architectures.py [FACTORY…].

Each has random weights, one image as small as it takes, and the fewest radii and draws. What was found is kept in
results/architectures.json, and the page written anew, after each of them. Without names, those that are not in it are
tried, which takes about an hour on two cores.
"""

from __future__ import annotations

import copy
import json
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from epsball import controls, probes
from epsball.config import Ball, Compute, NetworkSpec, WhiteBox
from epsball.controls import CONTROLS
from epsball.data import Pool
from epsball.data.images import digest
from epsball.errors import EpsballError
from epsball.networks import forward
from epsball.networks.forward import Forward
from epsball.networks.model import Network, open_network
from epsball.perturbations import families
from epsball.probes import PROBES, Context
from epsball.probes.normalisers import Scales
from epsball.runs.provenance import declared
from epsball.stages.extract import extract
from epsball.stages.measure import measure
from epsball.stages.measure_controls import measure_control
from epsball.stages.measure_white_box import measure_white_box
from epsball.stages.perturb import perturb
from epsball.stages.select import identify
from marked import put, table

DOCS = Path(__file__).parent
KEPT = DOCS.parent / "results" / "architectures.json"
WORKS = "✓"

BALL = Ball(radii=(0.0, 0.1, 1.0), epsilon=0.1, draws=4)
COMPUTE = Compute(batch=4, device="cpu", float64_draws=2)
WHITE_BOX = WhiteBox(draws=3, power_iterations=3, clever_batches=3, clever_size=2, directions=2)
CONTEXT = Context(Scales(1.0, 1.0), 9)

# By factory: the side of the image in pixels, and what else the network takes.
ARCHITECTURES: dict[str, tuple[int, dict[str, Any]]] = {
    "sign:ciresan2012": (48, {}),
    "sign:aghdam2015": (48, {}),
    "torchvision:resnet18": (64, {}),
    "torchvision:mobilenet_v3_small": (64, {}),
    "torchvision:densenet121": (64, {}),
    "torchvision:vit_b_32": (64, {"image_size": 64}),
    "torchvision:swin_t": (64, {}),
    "torchvision:convnext_tiny": (64, {}),
    "efficientnet-lite:0": (64, {"image_size": 64}),
    "torchvision:efficientnet_b0": (64, {}),
    "torchvision:mobilenet_v2": (64, {}),
    "torchvision:shufflenet_v2_x0_5": (64, {}),
    "torchvision:squeezenet1_1": (64, {"layer": "features"}),
    "torchvision:mnasnet0_5": (64, {}),
    "torchvision:regnet_y_400mf": (64, {}),
    "timm:vit_tiny_patch16_224": (64, {"img_size": 64}),
    "timm:convnext_atto": (64, {}),
    "timm:mobilenetv3_small_050": (64, {}),
    "timm:mixer_s32_224": (64, {"img_size": 64}),
    "timm:ghostnet_050": (64, {}),
    "timm:repvgg_a0": (64, {}),
    "timm:resmlp_12_224": (64, {"img_size": 64}),
    "timm:poolformer_s12": (64, {}),
    "timm:pvt_v2_b0": (64, {}),
    "timm:mobilevit_xxs": (64, {}),
    "timm:edgenext_xx_small": (64, {}),
    "timm:tinynet_e": (64, {}),
    "timm:resnest14d": (64, {}),
    "timm:skresnet18": (64, {}),
    "timm:nf_regnet_b0": (64, {}),
    "timm:seresnext26d_32x4d": (64, {}),
    "timm:xcit_nano_12_p16_224": (64, {"img_size": 64}),
    "timm:fastvit_t8": (64, {}),
    "timm:mambaout_femto": (64, {}),
    "timm:starnet_s1": (64, {}),
    "timm:lambda_resnet26t": (64, {}),
    "timm:gmlp_ti16_224": (64, {"img_size": 64}),
    "timm:deit_tiny_patch16_224": (64, {"img_size": 64}),
    "torchvision:googlenet": (64, {}),
    "torchvision:alexnet": (64, {}),
    "torchvision:vgg11": (32, {}),
    "torchvision:swin_v2_t": (64, {}),
    "timm:cait_xxs24_224": (64, {"img_size": 64}),
    "timm:hrnet_w18_small": (64, {}),
    "torchvision:inception_v3": (75, {}),
}


def main(names: list[str]) -> None:
    """Try architectures and write the page."""
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.is_file() else {}
    for name in names or [one for one in ARCHITECTURES if one not in kept]:
        print(name, flush=True)
        # A process each: it gives its memory back, and can crash.
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            try:
                kept[name] = process.submit(_all, name).result()
            except BrokenProcessPool:
                kept[name] = dict.fromkeys([*PROBES, *CONTROLS], "PyTorch crashes on it")
        KEPT.parent.mkdir(exist_ok=True)
        KEPT.write_text(json.dumps(kept, indent=1), encoding="utf-8")
        put(DOCS / "reference" / "architectures.md", "architectures", page(kept))


def _all(name: str) -> dict[str, str]:
    warnings.simplefilter("ignore")
    forward.configure(COMPUTE)
    return dict(tried(name))


def tried(factory: str) -> Iterator[tuple[str, str]]:
    """Yield each probe and control with `WORKS`, or why it is not available."""
    side, args = ARCHITECTURES[factory]
    everything = [*PROBES, *CONTROLS]
    try:
        network = _network(factory, args)
        picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
        label = int(network(forward.inputs(picture)[None])[0].argmax())
    except Exception as error:
        yield from ((name, _said(error)) for name in everything)
        return
    pool = Pool(("image",), np.array([label]), lambda number: picture)
    samples = identify(pd.DataFrame({"image": pool.names, "label": pool.labels, "digest": [digest(picture)]}), 0)
    with tempfile.TemporaryDirectory() as folder:
        drawn, passed = {}, {}
        for name in dict.fromkeys(entry.family for entry in PROBES.values() if entry.family):
            drawn[name] = Path(folder, f"{name}-perturbations.zarr.zip")
            perturb(name, samples, pool, families.ball(BALL, name), drawn[name], {})
        for name in PROBES:
            try:
                if probes.is_white_box(name):
                    probes.require(name, network, "network", WHITE_BOX)
                    found = measure_white_box(
                        name, network, "network", Forward(network, COMPUTE), samples, pool, BALL, WHITE_BOX, 1.0
                    )
                else:
                    family = probes.family_of(name)
                    ball = families.ball(BALL, family)
                    if family not in passed:
                        path = Path(folder, f"{family}-activations.zarr.zip")
                        extract(family, Forward(network, COMPUTE), samples, pool, ball, COMPUTE, path, {})
                        passed[family] = path
                    found = measure(name, samples, passed[family], drawn[family], ball, CONTEXT)
                yield name, _of(found)
            except Exception as error:
                yield name, _said(error)
        for name in CONTROLS:
            try:
                made = Forward(controls.of(name, copy.deepcopy(network), pool, 0), COMPUTE)
                of = list(declared(CONTROLS[name])["PROBES"])
                measure_control(made, of, samples, pool, drawn, BALL, COMPUTE, CONTEXT, name)
                yield name, WORKS
            except Exception as error:
                yield name, _said(error)


def _network(factory: str, args: Mapping[str, Any]) -> Network:
    own = {key: value for key, value in args.items() if key != "layer"}
    spec = NetworkSpec(name="network", dataset="any", factory=factory, args=own, layer=args.get("layer"))
    torch.manual_seed(0)
    network = open_network(spec, pretrained=False)
    # Some start as constants: their last layer, or their branches, are zero.
    for parameter in network.parameters():
        if parameter.ndim > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02)
    return network


def _of(found: pd.DataFrame) -> str:
    """A probe works if its table has numbers; the global bound has a reason of its own in it."""
    if reason := "".join(found.get("unavailable", pd.Series(dtype=str)).unique()):
        return f"{WORKS} without the global bound: {reason.partition(' in layer ')[0]}"
    return WORKS if np.isfinite(found.select_dtypes("number").to_numpy(float)).any() else "no finite numbers"


def _said(error: Exception) -> str:
    said = " ".join(str(error).split())
    return said if isinstance(error, EpsballError) else f"{type(error).__name__}: {said[:160]}"


def page(kept: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The table, with numbers for reasons, and the reasons. Columns that are equal in all rows are one."""
    rows = [name for name in ARCHITECTURES if name in kept]
    reasons = list(dict.fromkeys(said for name in rows for said in kept[name].values() if said != WORKS))

    def cell(said: str) -> str:
        sign = WORKS if said.startswith(WORKS) else "–"
        return sign if said == WORKS else f"{sign} ({reasons.index(said) + 1})"

    columns: dict[tuple[str, ...], list[str]] = {}
    for one in [*PROBES, *CONTROLS]:
        columns.setdefault(tuple(cell(kept[name][one]) for name in rows), []).append(f"`{one}`")
    head = ["architecture", *(", ".join(alike) for alike in columns.values())]
    lines = table(head, ([f"`{name}`", *cells] for name, cells in zip(rows, zip(*columns, strict=True), strict=True)))
    return [*lines, "", *(f"{number}. {said}" for number, said in enumerate(reasons, start=1))]


if __name__ == "__main__":
    main(sys.argv[1:])
