"""What is printed shows on a terminal without Unicode."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.toys import ROOT


@pytest.mark.fault("an ASCII terminal: {id}", "other signs, and exit code 0")
@pytest.mark.slow
@pytest.mark.parametrize("command", ["check mine.yaml --layers mine", "check mine.yaml", "plan mine.yaml"])
def test_commands_on_a_terminal_without_unicode(tutorial: Path, command: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT / "workflow")}
    done = subprocess.run(
        [sys.executable, "-m", "epsball.commands.cli", *command.split()],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "\\x" not in done.stdout
    if "--layers" in command:
        assert " x " in done.stdout


def test_every_sign_in_our_messages_has_another() -> None:
    """All non-ASCII signs in strings of the library that may be printed: those of the commands and of messages."""
    script = (
        "import sys; from epsball.errors import print_on_any_terminal; print_on_any_terminal();"
        "print(sys.stdin.read()); print('\\udce9', file=sys.stderr)"
    )
    signs: set[str] = set()
    for path in [*(ROOT / "workflow/epsball/commands").glob("*.py"), *(ROOT / "workflow/epsball/data").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                signs |= {sign for sign in node.value if not sign.isascii()}
    assert len(signs) > 2
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT / "workflow")}
    done = subprocess.run(
        [sys.executable, "-c", script.replace("sys.stdin.read()", ascii("".join(sorted(signs))))],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "\\" not in done.stdout, done.stdout
    assert done.stderr == "\\udce9\n"
