"""Random numbers, norms and families of perturbations."""
