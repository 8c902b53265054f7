"""One column of the multi-column network of Ciresan, Meier & Schmidhuber (CVPR 2012) for traffic signs."""

from __future__ import annotations

from torch import Tensor, nn


class Centre(nn.Module):
    """[0, 1] to [-1, 1]: tanh units train slowly on inputs of one sign."""

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, channels, height, width)."""
        return 2 * x - 1


def build(classes: int = 43) -> nn.Module:
    """48 × 48 × 3 – 100C7 – MP2 – 150C4 – MP2 – 250C4 – MP2 – FC300 – FC43, tanh: 1,543,443 parameters.

    Args:
        classes: number of outputs.

    Returns:
        A module from RGB batches (n, 3, 48, 48) in [0, 1] to logits (n, classes).
    """
    return nn.Sequential(
        Centre(),
        nn.Conv2d(3, 100, 7),
        nn.Tanh(),
        nn.MaxPool2d(2),
        nn.Conv2d(100, 150, 4),
        nn.Tanh(),
        nn.MaxPool2d(2),
        nn.Conv2d(150, 250, 4),
        nn.Tanh(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(250 * 3 * 3, 300),
        nn.Tanh(),
        nn.Linear(300, classes),
    )
