"""Commands run as by a user without special rights."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def plain() -> list[str]:
    """What stands before a command so that the rights of files count for it, also where root gives it."""
    if os.getuid() != 0:
        return []
    command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if not shutil.which("setpriv") or subprocess.run([*command, "true"], check=False).returncode:
        pytest.skip("needs setpriv, to give rights up, or another user than root")
    return command
