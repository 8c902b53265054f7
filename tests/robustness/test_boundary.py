"""Distances to decision boundaries that are known, and Foolbox's own results."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

import foolbox
import numpy as np
import pandas as pd
import pytest
import torch
from epsball.config import ATTACK_NAMES as NAMES
from epsball.config import WhiteBox
from epsball.probes import boundary as probe
from epsball.probes import is_white_box, passes
from epsball.probes.white_box_input import WhiteBoxInput
from epsball.robustness import boundary
from epsball.robustness.attacks import Target
from epsball.robustness.ensemble import ATTACKS, REFINEMENTS
from support import toys
from support.toys import BALL, SIZE, conv_net
from torch import Tensor, nn

ELEMENTS = 3 * SIZE * SIZE
RANDOM = 10


class Flat(nn.Module):
    """Logits W x + b."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.layer = nn.Linear(ELEMENTS, len(weight))
        self.layer.weight.data, self.layer.bias.data = weight, bias

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layer(images.flatten(start_dim=1))
        return logits


class Round(nn.Module):
    """Class 0 within a sphere."""

    def __init__(self, centre: Tensor, radius: float) -> None:
        super().__init__()
        self.centre, self.square = nn.Buffer(centre), radius**2
        self.layer = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        squares = (images - self.centre).flatten(start_dim=1).square().sum(dim=1, keepdim=True)
        logits: Tensor = self.layer(torch.cat([10 * (self.square - squares), 0 * squares], dim=1))
        return logits


class Oval(nn.Module):
    """Class 0 within an ellipse in the plane of two elements, in which the image is at a place."""

    def __init__(self, image: Tensor, place: Tensor, axes: Tensor) -> None:
        super().__init__()
        self.image, self.place, self.axes = nn.Buffer(image), nn.Buffer(place), nn.Buffer(axes)
        self.layer = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        points = (images - self.image).flatten(start_dim=1)[:, :2] + self.place
        squares = (points / self.axes).square().sum(dim=1, keepdim=True)
        logits: Tensor = self.layer(torch.cat([10 * (1 - squares), 0 * squares], dim=1))
        return logits


class Plateau(nn.Module):
    """No slope within half a unit of the image, class 1 a little further."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.image = nn.Buffer(image)
        self.layer = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        squares = (images - self.image).flatten(start_dim=1).square().sum(dim=1, keepdim=True)
        logits: Tensor = self.layer(torch.cat([0 * squares + 1, 100 * (squares - 0.25).relu()], dim=1))
        return logits


class Never(nn.Module):
    """The same of any image."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        nothing = 0 * images.flatten(start_dim=1).sum(dim=1, keepdim=True)
        logits: Tensor = self.layer(torch.cat([nothing + 1, nothing], dim=1))
        return logits


def picture(seed: int = 0) -> Tensor:
    """Float32 (height, width, 3), away from 0 and 1."""
    return 0.2 + 0.6 * torch.rand(SIZE, SIZE, 3, generator=torch.Generator().manual_seed(seed))


def flat(classes: int, distance: float) -> tuple[Flat, np.ndarray, float]:
    """Linear logits, class 0 ahead of class 1 by what a boundary at `distance` of the picture takes; normal, margin."""
    generator = torch.Generator().manual_seed(5)
    weight = torch.randn(classes, ELEMENTS, generator=generator)
    normal = (weight[0] - weight[1]).double()
    margin = distance * float(normal.norm())
    values = weight @ picture().permute(2, 0, 1).flatten()
    bias = -values
    bias[1:] -= margin * torch.arange(1, classes)
    return Flat(weight, bias), normal.numpy(), margin


def white_box_input(
    module: nn.Module,
    image: Tensor | None = None,
    label: int = 0,
    clip: bool = False,
    directions: int = RANDOM,
    attacks: tuple[str, ...] = NAMES,
) -> WhiteBoxInput:
    pixels = (picture() if image is None else image).permute(2, 0, 1)
    layer = "layer" if hasattr(module, "layer") else None
    return toys.white_box_input(
        module,
        pixels,
        label=label,
        layer=layer,
        ball=replace(BALL, clip=clip),
        directions=directions,
        attacks=attacks,
    )


def target(inputs: WhiteBoxInput) -> Target:
    limit = boundary.search_limit(ELEMENTS)
    return Target(lambda images: inputs.network(images)[0], inputs.pixels, inputs.label, inputs.ball.clip, limit)


def distances(table: pd.DataFrame) -> pd.Series:
    """Of each direction."""
    rows = table.groupby("direction", sort=False)["distance"]
    assert (rows.max() == rows.min()).all()
    return rows.first()


def test_it_is_a_white_box_probe() -> None:
    assert is_white_box("boundary")
    more = passes("boundary", WhiteBox(directions=20), BALL) - passes("boundary", WhiteBox(directions=10), BALL)
    assert more == 10 * (42 + sum(radius > 0 for radius in BALL.radii))
    assert set(NAMES) == {*ATTACKS, *REFINEMENTS}


def test_distance_to_a_flat_boundary_is_exact() -> None:
    module, normal, margin = flat(2, 0.05)
    inputs = white_box_input(module)
    found = distances(probe.measure(inputs))
    straight = margin / np.linalg.norm(normal)
    for name in ("lbfgs", "deepfool", "aghdam", "ddn", "brendel_bethge"):
        # Never nearer than the boundary is, but for float32.
        assert straight * 0.9999 <= found[name] <= straight * 1.01, name
    signed = margin * np.sqrt(ELEMENTS) / np.abs(normal).sum()
    assert signed * 0.9999 <= found["fgsm"] <= signed * 1.0012
    for number, ray in enumerate(probe.random_rays(inputs)):
        expected = margin / abs(float(ray.flatten().double().numpy() @ normal))
        if expected > boundary.search_limit(ELEMENTS):
            assert found[str(number)] == np.inf
        else:
            assert expected * 0.9999 <= found[str(number)] <= expected * 1.0012


@pytest.mark.slow
def test_a_flat_boundary_is_further_in_a_random_direction_by_what_the_normal_distribution_says() -> None:
    module, normal, margin = flat(2, 0.02)
    inputs = white_box_input(module, directions=400)
    rays = torch.stack(probe.random_rays(inputs))
    found = boundary.crossings(
        inputs.logits,
        inputs.pixels,
        0,
        list(rays),
        [np.geomspace(0.01, boundary.search_limit(ELEMENTS), 12).tolist()] * 400,
        two_sided=True,
    )
    ratio = np.median([crossing.distance for crossing in found]) / (margin / np.linalg.norm(normal))
    assert boundary.hyperplane_ratio(ELEMENTS) == pytest.approx(1.4826 * np.sqrt(ELEMENTS), rel=1e-4)
    # The median of 400 has a standard error of 6 %.
    assert ratio == pytest.approx(boundary.hyperplane_ratio(ELEMENTS), rel=0.15)


def test_margins_at_a_radius_are_those_of_a_linear_function() -> None:
    module, normal, margin = flat(2, 0.05)
    inputs = white_box_input(module)
    table = probe.measure(inputs)
    assert table["clean_margin"].to_numpy() == pytest.approx(margin, rel=1e-4)
    rays = {str(number): ray for number, ray in enumerate(probe.random_rays(inputs))}
    random = table[table["kind"] == "random"]
    slopes = np.array([rays[str(name)].flatten().double().numpy() @ normal for name in random["direction"]])
    expected = margin + random["radius"].to_numpy() * slopes
    assert random["margin"].to_numpy() == pytest.approx(expected, abs=1e-4)
    assert random["score"].to_numpy() == pytest.approx(1 / (1 + np.exp(-expected)), abs=1e-4)
    assert (random["misclassified"].to_numpy() == (expected < 0)).all()
    assert set(random["misclassified"]) == {True, False}
    straight = table[table["direction"] == "deepfool"]
    expected = margin - straight["radius"].to_numpy() * float(np.linalg.norm(normal))
    assert straight["margin"].to_numpy() == pytest.approx(expected, abs=1e-3)


def test_directions_are_the_run_s_own_draws() -> None:
    inputs = white_box_input(flat(2, 0.05)[0])
    radius = max(BALL.radii)
    images = inputs.perturbed("uniform", radius)[:RANDOM]
    for ray, image in zip(probe.random_rays(inputs), images, strict=True):
        torch.testing.assert_close(boundary.at(inputs.pixels, ray, radius, box=False), image)
    linf = replace(inputs, ball=replace(BALL, norm="linf", radii=(0.0, 8.0)))
    images = linf.perturbed("uniform", 8.0)[:RANDOM]
    table = probe.measure(linf)
    logits = linf.logits(images).double()
    margins = table.loc[table["kind"] == "random", "margin"].to_numpy()
    assert margins == pytest.approx((logits[:, 0] - logits[:, 1]).numpy(), abs=1e-4)


def test_no_attack_beats_the_nearest_of_several_flat_boundaries() -> None:
    module, _, _ = flat(6, 0.05)
    weight = module.layer.weight.detach().double()
    logits = module.double()(picture().permute(2, 0, 1)[None].double())[0].detach()
    nearest = min(float((logits[0] - logits[j]) / (weight[0] - weight[j]).norm()) for j in range(1, 6))
    found = distances(probe.measure(white_box_input(module.float())))
    assert (found >= nearest * 0.9999).all()
    assert found["deepfool"] <= nearest * 1.01
    assert found["aghdam"] <= nearest * 1.1
    assert found["brendel_bethge"] <= nearest * 1.002


def test_distance_to_a_sphere_is_known() -> None:
    radius, offset = 0.5, 0.1
    image = picture()
    away = torch.randn(3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    away = away / away.norm()
    inputs = white_box_input(Round(image.permute(2, 0, 1) - offset * away, radius))
    found = distances(probe.measure(inputs))
    for name in ("lbfgs", "deepfool", "aghdam", "ddn", "brendel_bethge"):
        assert 0.9999 * (radius - offset) <= found[name] <= 1.02 * (radius - offset), name
    for number, ray in enumerate(probe.random_rays(inputs)):
        cosine = abs(float((ray.double() * away.double()).sum()))
        expected = -offset * cosine + np.sqrt((offset * cosine) ** 2 + radius**2 - offset**2)
        assert 0.9999 * expected <= found[str(number)] <= 1.0012 * expected


def test_the_norm_is_made_small_along_a_curved_boundary() -> None:
    # Straight up the gradient an ellipse is a sixth further than it is to its nearest point.
    place, axes, angles = (0.1, 0.6), (1.0, 2.0), np.linspace(0, 2 * np.pi, 100_001)
    nearest = np.hypot(axes[0] * np.cos(angles) - place[0], axes[1] * np.sin(angles) - place[1]).min()
    inputs = white_box_input(Oval(picture().permute(2, 0, 1), torch.tensor(place), torch.tensor(axes)))
    candidates = {name: attack(target(inputs)) for name, attack in ATTACKS.items()}
    for name in ("lbfgs", "aghdam", "ddn"):
        size = boundary.separation(inputs.pixels, candidates[name])
        assert 0.9999 * nearest <= size <= 1.03 * nearest, name
        assert inputs.logits(candidates[name][None]).argmax() == 1


def test_the_boundary_is_followed_to_its_nearest_point() -> None:
    """From the far end of an ellipse, and in the probe from what the others found."""
    place, axes, angles = (0.1, 0.6), (1.0, 2.0), np.linspace(0, 2 * np.pi, 100_001)
    nearest = np.hypot(axes[0] * np.cos(angles) - place[0], axes[1] * np.sin(angles) - place[1]).min()
    pixels = picture().permute(2, 0, 1)
    inputs = white_box_input(Oval(pixels, torch.tensor(place), torch.tensor(axes)), attacks=("fgsm", "brendel_bethge"))
    start = pixels.clone().flatten()
    start[1] += 1.4
    follow = REFINEMENTS["brendel_bethge"]
    found = follow(target(inputs), start.view_as(pixels))
    assert boundary.separation(pixels, found) == pytest.approx(nearest, rel=1e-3)
    again = follow(target(inputs), start.view_as(pixels))
    assert torch.equal(found, again)
    table = distances(probe.measure(inputs))
    assert table["fgsm"] > 1.05 * nearest
    assert 0.9999 * nearest <= table["brendel_bethge"] <= 1.002 * nearest
    boxed = white_box_input(flat(2, 0.05)[0], picture().round(), clip=True, attacks=("lbfgs", "brendel_bethge"))
    point = follow(target(boxed), boxed.pixels + 1.0)
    assert 0 <= point.min() <= point.max() <= 1


@pytest.mark.long
@pytest.mark.slow
def test_following_the_boundary_ends_where_foolbox_s_does() -> None:
    """Foolbox's compiles for half a minute; both start from DDN's point."""
    for seed in range(4):
        module, image = conv_net(seed=seed).eval(), picture(seed)
        with torch.no_grad():
            label = int(module(image.permute(2, 0, 1)[None]).argmax())
        inputs = white_box_input(module, image, label)
        start = ATTACKS["ddn"](target(inputs))
        ours = REFINEMENTS["brendel_bethge"](target(inputs), start)
        model = foolbox.PyTorchModel(module, bounds=(-3, 4), device="cpu")
        pixels, labels = inputs.pixels[None].contiguous(), torch.tensor([label])
        attack = foolbox.attacks.L2BrendelBethgeAttack(steps=200)
        _, (point,), _ = attack(model, pixels, labels, epsilons=None, starting_points=start[None])
        theirs = boundary.separation(inputs.pixels, point)
        assert boundary.separation(inputs.pixels, ours) == pytest.approx(theirs, rel=2e-3)


def test_where_there_is_no_slope_ddn_goes_anywhere_and_always_the_same_way() -> None:
    inputs = white_box_input(Plateau(picture().permute(2, 0, 1)))
    points = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        points.append(ATTACKS["ddn"](target(inputs)))
        assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(*points)
    found = distances(probe.measure(inputs))
    assert found["ddn"] == pytest.approx(np.sqrt(0.26), rel=1.1e-3)
    assert np.isinf(found[["fgsm", "lbfgs", "deepfool", "aghdam"]]).all()


@pytest.mark.slow
def test_in_a_box_all_stays_in_the_box() -> None:
    image = picture().round()  # black and white: each element can move to one side only
    module, _, _ = flat(2, 0.05)
    values = module(image.permute(2, 0, 1)[None])[0]
    module.layer.bias.data -= values - torch.tensor([2.0, 0.0])
    boxed, free = white_box_input(module, image, clip=True), white_box_input(module, image)
    one, other = distances(probe.measure(boxed)), distances(probe.measure(free))
    attacks = list(NAMES)
    assert np.isfinite(one[attacks]).all()
    assert (one[attacks] > other["deepfool"]).all()
    for point in (attack(target(boxed)) for attack in ATTACKS.values()):
        assert 0 <= point.min() <= point.max() <= 1
    rays = probe.random_rays(boxed)
    scans = [np.geomspace(0.01, boundary.search_limit(ELEMENTS), 12).tolist()] * len(rays)
    found = boundary.crossings(boxed.logits, boxed.pixels, 0, rays, scans, two_sided=True, box=True)
    assert not all(crossing.image is None for crossing in found)
    for crossing in found:
        if crossing.image is not None:
            assert 0 <= crossing.image.min() <= crossing.image.max() <= 1
            assert crossing.distance == boundary.separation(boxed.pixels, crossing.image)


def test_a_network_that_never_changes_is_censored() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = probe.measure(white_box_input(Never()))
    assert len(table) == (RANDOM + len(NAMES)) * 3
    assert table["censored"].all()
    assert (table["distance"] == np.inf).all()
    assert (table["prediction"] == -1).all()
    assert not table["misclassified"].any()
    assert table.loc[table["kind"] == "random", "margin"].to_numpy() == pytest.approx(1)


def test_an_image_that_is_misclassified_is_at_the_boundary() -> None:
    found = distances(probe.measure(white_box_input(flat(2, 0.05)[0], label=1)))
    assert found.to_numpy() == pytest.approx(0, abs=1e-6)


def test_an_islet_can_be_stepped_over_and_a_nearer_side_is_taken() -> None:
    def logits(images: Tensor) -> Tensor:
        x = images[:, 0, 0, 0].double()
        wrong = (x > 3) | (x < -5) | ((x > 1.4) & (x < 1.6))
        return torch.stack([~wrong, wrong], dim=1).double()

    image, ray = torch.zeros(3, 1, 1), torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1)
    search: Callable[..., list[boundary.Crossing]] = boundary.crossings
    for scan, expected in (([1.0, 2.0, 4.0, 8.0], 3), ([1.0, 1.5, 4.0], 1.4)):
        found = search(logits, image, 0, [ray], [scan], two_sided=True)[0]
        assert expected <= found.distance <= expected * 1.001
    found = search(logits, image, 0, [-ray], [[1.0, 2.0, 4.0, 8.0]])[0]
    assert 5 <= found.distance <= 5 * 1.001
    assert found.prediction == 1
    assert search(logits, image, 0, [-ray], [[1.0, 2.0]])[0] == boundary.Crossing(np.inf, -1, None)
    assert search(logits, image, 0, [], []) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_no_further_than_foolbox(seed: int) -> None:
    module, image = conv_net(seed=seed).eval(), picture(seed)
    with torch.no_grad():
        label = int(module(image.permute(2, 0, 1)[None]).argmax())
    inputs = white_box_input(module, image, label)
    table = probe.measure(inputs)
    found = distances(table)
    model = foolbox.PyTorchModel(module, bounds=(-100, 100), device="cpu")
    images, labels = inputs.pixels[None].contiguous(), torch.tensor([label])
    _, (points,), (success,) = (
        [part] for part in foolbox.attacks.L2DeepFoolAttack()(model, images, labels, epsilons=None)
    )
    assert bool(success) == bool(np.isfinite(found["deepfool"]))
    assert found["deepfool"] <= float((points - images).double().norm()) * 1.001
    steps = np.geomspace(0.001, 1, 1000)
    points, _, success = foolbox.attacks.LinfFastGradientAttack()(model, images, labels, epsilons=steps.tolist())
    if success.any():
        first = points[int(success[:, 0].int().argmax())]
        assert found["fgsm"] == pytest.approx(float((first - images).double().norm()), rel=0.01)
    # Nothing found by anyone is nearer than the best attack.
    attacked, random = found[list(NAMES)], found[[str(number) for number in range(RANDOM)]]
    assert attacked.min() < random.min()


def test_what_is_reported_is_misclassified() -> None:
    module = conv_net().eval()
    image = picture()
    label = int(module(image.permute(2, 0, 1)[None]).argmax())
    inputs = white_box_input(module, image, label)
    scan = np.geomspace(0.01, boundary.search_limit(ELEMENTS), 12).tolist()
    rays = probe.random_rays(inputs)
    found = boundary.crossings(inputs.logits, inputs.pixels, label, rays, [scan] * len(rays), two_sided=True)
    met = [crossing for crossing in found if crossing.image is not None]
    assert met
    predictions = inputs.logits(torch.stack([crossing.image for crossing in met if crossing.image is not None])).argmax(
        1
    )
    assert predictions.tolist() == [crossing.prediction for crossing in met]
    assert label not in predictions.tolist()


@pytest.mark.slow
def test_twice_gives_the_same() -> None:
    module = conv_net().eval()
    label = int(module(picture().permute(2, 0, 1)[None]).argmax())
    tables = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        tables.append(probe.measure(white_box_input(module, label=label)))
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert list(tables[0]) == [
        "kind", "direction", "radius", "score", "margin", "misclassified", "distance", "censored", "prediction",
        "hyperplane_ratio", "search_limit", "clean_margin",
    ]  # fmt: skip
