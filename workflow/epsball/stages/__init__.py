"""The stages of a run: a module each, with the name of its rule and its script."""
