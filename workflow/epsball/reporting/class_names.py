"""Classes in words: by number and name where the dataset tells names, as `Run.class_names` has them."""

from __future__ import annotations

from collections.abc import Sequence


def described(label: int, names: Sequence[str]) -> str:
    """Return a class as "13, yield", or as "class 13" where it has no name."""
    name = _name(label, names)
    return f"{label}, {name}" if name else f"class {label}"


def named(label: int, names: Sequence[str], longest: int | None = None) -> str:
    """Return a class as "yield", of at most so many characters, or as "class 13" where it has no name."""
    return _cut(_name(label, names), longest) or f"class {label}"


def called(label: int, names: Sequence[str], longest: int | None = None) -> str:
    """Return a class as "yield (13)", or as "13" where it has no name."""
    name = _cut(_name(label, names), longest)
    return f"{name} ({label})" if name else str(label)


def in_figure(text: str) -> str:
    """Return text as Matplotlib shows it, which takes what is between two $ for a formula."""
    return text.replace("$", r"\$")


def _name(label: int, names: Sequence[str]) -> str:
    """Return the name of a class; empty if it is not known, or no more than the number."""
    name = names[label] if 0 <= label < len(names) else ""
    return "" if name == str(label) else name


def _cut(name: str, longest: int | None) -> str:
    return name if longest is None or len(name) <= longest else name[: longest - 1].rstrip() + "…"
