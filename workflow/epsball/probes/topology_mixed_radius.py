"""Topology preservation as in `epsball.probes.topology`, on draws of mixed norms, whose distances vary."""

from __future__ import annotations

from epsball.probes import topology

FAMILY = "mixed_radius"

measure = topology.measure
