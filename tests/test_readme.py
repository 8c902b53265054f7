"""Every command of the README is run, or what it would run is looked at where it takes long or needs a cluster."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from epsball.cli import main
from study import Study
from test_cli import tutorial  # noqa: F401 (a fixture)

README = (ROOT / "README.md").read_text(encoding="utf-8")
CLUSTER = "snakemake --workflow-profile profiles/slurm --configfile mine.yaml"


def commands() -> list[str]:
    """What the README tells to type: lines of indented blocks, and code in the text that begins with a program."""
    prose = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    lines = [line.strip().split("  #")[0].strip() for line in prose.splitlines() if re.match(r" {4}\S", line)]
    named = re.findall(r"`((?:make|snakemake|epsball) [^`]+)`", prose)
    return list(dict.fromkeys(" ".join(command.split()) for command in [*lines, *named]))


MAKE = [command for command in commands() if command.startswith("make ")]
SNAKEMAKE = [command for command in commands() if command.startswith("snakemake ")]
# Of those that differ in their cores alone, or in -n, which the test adds, the first.
PLANS = list({re.sub(r" (-n|--cores \w+)\b", "", command): command for command in reversed(SNAKEMAKE)}.values())
EPSBALL = [command for command in commands() if command.startswith("epsball ")]


def test_every_command_is_of_a_kind_that_is_tested() -> None:
    assert set(commands()) == {*MAKE, *SNAKEMAKE, *EPSBALL}
    assert {"make reproduce", "make test", "epsball check mine.yaml", CLUSTER} <= set(commands())


@pytest.mark.parametrize("command", MAKE)
def test_make_knows_its_targets(command: str) -> None:
    done = subprocess.run(["make", "-n", *command.split()[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("command", PLANS)
@pytest.mark.usefixtures("tutorial")
def test_snakemake_plans_the_run(command: str) -> None:
    folder = Study(Path.cwd()).folder
    arguments = shlex.split(re.sub(r"\bN\b", "2", command).replace("/path/to/epsball", str(ROOT)))
    process = [sys.executable, "-m", *arguments, *([] if "-n" in arguments else ["-n"])]
    environment = {**os.environ, "PYTHONPATH": str(folder / "workflow")}
    done = subprocess.run(process, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    config = Path(
        arguments[arguments.index("--configfile") + 1] if "--configfile" in arguments else "config/config.yaml"
    )
    networks = yaml.safe_load((folder / config).read_text(encoding="utf-8"))["networks"]
    assert all(name in done.stderr for name in networks), "the plan names each network"


@pytest.mark.parametrize("command", EPSBALL)
@pytest.mark.usefixtures("tutorial")
def test_epsball_does_it(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = shlex.split(command)[1:]
    if len(arguments) == 1:  # a command's name alone
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--help"])
        assert ended.value.code == 0
    else:
        assert main(arguments) == 0
    assert capsys.readouterr().out


def test_the_cluster_has_its_profile() -> None:
    profile = yaml.safe_load((ROOT / "profiles" / "slurm" / "config.yaml").read_text(encoding="utf-8"))
    assert profile["executor"] == "slurm"
    assert "profiles/slurm" in (ROOT / "tests" / "study.py").read_text(encoding="utf-8"), "run by tests/test_slurm.py"


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(((?!http|#)[^)]+)\)", README))))
def test_links_of_the_readme_lead_somewhere(target: str) -> None:
    path, _, anchor = target.partition("#")
    text = (ROOT / path).read_text(encoding="utf-8") if path.endswith(".md") else ""
    assert (ROOT / path).exists()
    headings = [line.lstrip("# ").lower() for line in text.splitlines() if line.startswith("#")]
    anchors = {re.sub(r"[^\w -]", "", heading).replace(" ", "-") for heading in headings}
    assert not anchor or anchor in anchors
