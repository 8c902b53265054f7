"""Names of the 1000 classes of ImageNet, in the order of a network's outputs."""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path

_SYNSET = re.compile(r"n\d{8}")
_ENDS = ("n01440764", "n15075141")  # tench and toilet tissue, the first and the last of the challenge of 2012


@functools.cache
def categories() -> tuple[str, ...] | None:
    """Return the names as torchvision has them, read from its file: an import would load PyTorch. None without it."""
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None:
        return None
    try:
        tree = ast.parse((Path(found.origin).parent / "models" / "_meta.py").read_text(encoding="utf-8"))
    except OSError:  # a version that has them elsewhere: classes then go by their numbers
        return None
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_IMAGENET_CATEGORIES":
            return tuple(ast.literal_eval(node.value))
    return None


def names(classes: Sequence[str]) -> list[str]:
    """Return the names of classes: as they are, but of ImageNet's 1000 synsets, in whichever order, what they mean."""
    ordered, known = sorted(classes), categories()
    synsets = len(ordered) == 1000 and all(map(_SYNSET.fullmatch, ordered)) and (ordered[0], ordered[-1]) == _ENDS
    if not synsets or known is None:
        return list(classes)
    meant = dict(zip(ordered, known, strict=True))
    return [meant[name] for name in classes]
