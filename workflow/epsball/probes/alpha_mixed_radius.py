"""Eq. 7 as in `epsball.probes.alpha`, on draws of mixed norms, whose distances vary."""

from __future__ import annotations

from epsball.probes import alpha

FAMILY = "mixed_radius"

measure = alpha.measure
