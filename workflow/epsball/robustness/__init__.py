"""The numerics behind probes: attacks, boundary search, Lipschitz bounds, derivatives."""
