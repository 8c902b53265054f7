"""What Snakemake makes of a configuration before epsball sees it: text in --config, the last of two equal keys."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.study import TINY, squares
from support.toys import ROOT


def dry_run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "-n", "--cores", "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow"), "PYTHONIOENCODING": "ascii"}
    return subprocess.run(
        [*command, "--configfile", "mine.yaml", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.fault(
    "numbers as text, keys given twice, a terminal that is ASCII", "read, or a sentence; a finished run exits with 0"
)
@pytest.mark.slow
def test_text_keys_given_twice_and_a_terminal_without_unicode(tmp_path: Path) -> None:
    squares(tmp_path)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(TINY))
    done = dry_run(tmp_path, "--config", "radii=[1,2e0]", "draws=8.0", "clip=yes")
    assert done.returncode == 0, done.stderr
    assert "Plan of run 'small'" in done.stderr
    for more, sentence in (("run: other\n", "key 'run' is given twice, in lines"), ("seed: 017\n", "write 17; or put")):
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(TINY) + more)
        done = dry_run(tmp_path)
        assert done.returncode == 1
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr
