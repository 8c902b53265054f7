"""Small networks from torchvision's parts, for the studies of sixty networks beside this file."""

from __future__ import annotations

import itertools

from torch import Tensor, nn
from torchvision.models import VisionTransformer
from torchvision.models.vgg import make_layers


def vgg(width: int, batch_norm: bool, classes: int = 43, size: int = 48) -> nn.Module:
    """Build a VGG of four 3 × 3 convolutions (Simonyan & Zisserman 2015) for images of size × size pixels."""
    body = make_layers([width, "M", 2 * width, "M", 4 * width, 4 * width, "M"], batch_norm)
    features = 4 * width * (size // 8) ** 2
    head = nn.Linear(features, 4 * width), nn.ReLU(), nn.Linear(4 * width, classes)
    return nn.Sequential(body, nn.Flatten(), *head)


class _Block(nn.Module):
    """Two 3 × 3 convolutions with a way around (He et al. 2016)."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.around = nn.Conv2d(before, width, 1, stride=2)
        self.change = nn.Sequential(
            nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = nn.functional.relu(self.around(x) + self.change(x))
        return y


def residual(width: int, classes: int = 43) -> nn.Module:
    """Build a residual network of three blocks with batch normalisation, for images of any size."""
    blocks = itertools.starmap(_Block, itertools.pairwise([width, width, 2 * width, 4 * width]))
    stem = nn.Conv2d(3, width, 3, padding=1), nn.ReLU()
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, classes))


def vit(width: int, depth: int, classes: int = 43, size: int = 48, patch: int = 8) -> nn.Module:
    """Build a vision transformer with heads of 32 (Dosovitskiy et al. 2021) for images of size × size pixels."""
    module: nn.Module = VisionTransformer(size, patch, depth, width // 32, width, 2 * width, num_classes=classes)
    return module
