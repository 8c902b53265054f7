"""From a factory's name to a network with logits and features, and its forward passes."""
