"""From a name to a network with logits and features, and how it is run."""
