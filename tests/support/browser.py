"""Chromium for the tests of pages: where it is, and its installation where that may be.

    PYTHONPATH=tests python -m support.browser

Installs Debian's package chromium as root where there is none, or says why not; tests that need it skip then.
"""

from __future__ import annotations

import os
import shutil
import subprocess

ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def path() -> str | None:
    """Where Chromium is, if it is."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def obstacle() -> str | None:
    """Why there is no Chromium, if so; installs it where that may be."""
    if path() is not None:
        return None
    if os.geteuid():
        return "only root can install it"
    if shutil.which("apt-get") is None:
        return "there is no apt-get to install it with"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "-qq", "update"], ["apt-get", "-qq", "-y", "install", "chromium"]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"{' '.join(command)} failed: {done.stderr.strip()[-200:]}"
    return None if path() else "the package chromium brought none"


if __name__ == "__main__":
    why = obstacle()
    print(f"No Chromium, so that pages are not tested: {why}." if why else f"Chromium: {path()}")
