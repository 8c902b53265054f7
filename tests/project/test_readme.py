"""Every command of the README is run, those that take long on configurations that take less."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml
from epsball.commands.cli import main
from support import reduced
from support.example import write_data, write_example
from support.named_data import supply_cifar10
from support.toys import ROOT, recipe

README = (ROOT / "README.md").read_text(encoding="utf-8")
CLUSTER = "snakemake --workflow-profile profiles/slurm --configfile mine.yaml"


def commands() -> list[str]:
    """What the README tells to type: lines of indented blocks, and code in the text that begins with a program."""
    prose = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    lines = [line.strip().split("  #")[0].strip() for line in prose.splitlines() if re.match(r" {4}\S", line)]
    named = re.findall(r"`((?:make|snakemake|epsball|python) [^`]+)`", prose)
    return list(dict.fromkeys(" ".join(command.split()) for command in [*lines, *named]))


PROGRAMS = ("make", "snakemake", "python", "epsball")
ELSEWHERE = {
    "make test": "this test is a part of it",
    "make check": "a part of it",
    "make docs": "tests/project/test_docs.py",
    CLUSTER: "tests/workflow/test_slurm.py",
}
EPSBALL = [command for command in commands() if command.startswith("epsball ")]
# Minutes, however little there is in them: `make commands`.
LONG = (
    "make sensitivity",
    "make bench",
    "snakemake --cores N --configfile config/beyond.yaml",
    "snakemake --cores N --configfile config/paper.yaml",
)
# "config" is the default's; `make sensitivity` runs its own, and tests/workflow/test_cifar10.py that of CIFAR-10.
OTHERS = [
    path.stem
    for path in sorted((ROOT / "config").glob("*.yaml"))
    if path.stem not in ("config", "sensitivity", "cifar10") and f"config/{path.name}" not in README
]
RUNS = [
    pytest.param(command, marks=pytest.mark.long if command in LONG else ())
    for command in commands()
    if command not in {*ELSEWHERE, *EPSBALL, "make clean"}
]


def test_every_command_is_run() -> None:
    assert all(command.split()[0] in PROGRAMS for command in commands())
    assert {"make reproduce", "snakemake --cores N --configfile config/paper.yaml", "make clean"} <= set(commands())
    assert {"make test", "epsball check mine.yaml", CLUSTER} <= set(commands())
    assert set(ELSEWHERE) <= set(commands())
    assert 'recipe("docs")' in (ROOT / "tests" / "project" / "test_docs.py").read_text(encoding="utf-8")


def test_the_cluster_has_its_profile() -> None:
    profile = yaml.safe_load((ROOT / "profiles" / "slurm" / "config.yaml").read_text(encoding="utf-8"))
    assert profile["executor"] == "slurm"
    assert "profiles/slurm" in (ROOT / "tests" / "support" / "study.py").read_text(encoding="utf-8"), (
        "run by tests/workflow/test_slurm.py"
    )


def test_check_is_a_part_of_test() -> None:
    tested = [line.split(" -n ")[0].split(".venv/bin/")[-1] for line in recipe("test")]
    for line in recipe("check"):
        assert line.split(" -n ")[0].removeprefix(".venv/bin/") in tested


@pytest.fixture(scope="module")
def cloned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the repository, its configurations reduced, with the ten lines and what they are about in it."""
    folder = tmp_path_factory.mktemp("readme") / "epsball"
    reduced.clone(folder)
    reduced.reduce(folder)
    for place in (folder, folder.parent):
        ten_lines(place)
    return folder


def ten_lines(folder: Path) -> None:
    """Write the README's own network, the project that it imports, its weights and images."""
    write_example(README, folder)
    lines = [line for name in ("mine.py", "mine.yaml") for line in (folder / name).read_text().splitlines()]
    assert sum(bool(line.strip()) for line in lines) == 10
    write_data(folder, count=6)  # all radii and draws of the paper, of few images
    (folder / "my_project.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Sequential):\n    def __init__(self):\n        super().__init__("
        "nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))\n"
    )


def run(command: str, folder: Path, root: Path) -> str:
    """Run a command as the README has it; everything that it said."""
    line = re.sub(r"\bN\b", "2", command).replace("/path/to/epsball", str(root))
    # Compiling each network is the longest part of it.
    faster = {"TORCHDYNAMO_DISABLE": "1"} if "bench" in command else {}
    return reduced.run(root, shlex.split(line), folder, **faster)


@pytest.mark.slow
@pytest.mark.parametrize("command", RUNS)
def test_it_does_what_is_said(cloned: Path, command: str) -> None:
    folder = cloned.parent if "--snakefile" in command else cloned
    said = run(command, folder, cloned)
    if command.startswith("python docs/default.py"):
        lines = (folder / "README.md").read_text(encoding="utf-8").splitlines()
        head = next(line for line in lines if line.startswith("| claim of the paper |"))
        assert {"ciresan2012", "aghdam2015", "equivalent to"} < set(head.strip("| ").split(" | "))
    else:
        assert said
    named = re.findall(r"--configfile (\S+)", command)
    for config in ["config/config.yaml"] if command == "make reproduce" else named:
        raw = yaml.safe_load((folder / config).read_text(encoding="utf-8"))
        made = folder / "results" / raw["run"]
        if " -n" in command:
            assert all(name in said for name in raw["networks"]), "the plan names each network"
        else:
            assert (made / "report.html").stat().st_size > 100_000
            assert len(list((made / "figures").glob("fig*.pdf"))) >= 6


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_a_configuration_that_it_does_not_name_is_run(cloned: Path, name: str) -> None:
    if name == "zoo-cifar10":
        supply_cifar10(cloned, 500, 250)
    run(f"snakemake --cores N --configfile config/{name}.yaml", cloned, cloned)
    assert (cloned / "results" / name / "report.html").stat().st_size > 100_000


@pytest.mark.slow
def test_reduced_configurations_keep_networks_and_controls(cloned: Path) -> None:
    for path in (ROOT / "config").glob("*.yaml"):
        whole, reduced = (yaml.safe_load((root / "config" / path.name).read_text()) for root in (ROOT, cloned))
        assert set(whole.get("networks", ())) == set(reduced.get("networks", ()))
        for name, sweep in whole.get("sweeps", {}).items():
            of_first = next(iter(sweep["factors"]))
            assert set(sweep["factors"][of_first]) == set(reduced["sweeps"][name]["factors"][of_first])
        assert whole.get("controls") == reduced.get("controls")
        assert set(whole.get("extra_probes", ())) <= set(reduced.get("extra_probes", ()))
        assert reduced["draws"] < whole.get("draws", 100)


@pytest.mark.slow
@pytest.mark.parametrize("command", LONG)
def test_the_long_ones_are_planned(cloned: Path, command: str) -> None:
    assert command in commands()
    assert run(f"{command} -n", cloned, cloned)


@pytest.mark.slow
def test_the_cluster_s_run_is_planned_where_there_is_no_cluster(cloned: Path) -> None:
    assert "mine" in run(f"{CLUSTER} -n", cloned, cloned), "the plan names each network"


@pytest.mark.slow
@pytest.mark.parametrize("command", EPSBALL)
def test_epsball_does_it(
    cloned: Path, command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(cloned)
    arguments = shlex.split(command)[1:]
    if len(arguments) == 1:  # a command's name alone
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--help"])
        assert ended.value.code == 0
    else:
        assert main(arguments) == 0
    assert capsys.readouterr().out


@pytest.mark.slow
def test_clean_leaves_what_is_in_git(cloned: Path) -> None:
    (cloned / "results" / "any").mkdir(parents=True, exist_ok=True)
    run("make clean", cloned, cloned)
    assert not any((cloned / "results").iterdir())
    assert not (cloned / ".venv").exists()
    assert (Path(sys.prefix) / "bin" / "snakemake").exists(), "what was linked in that folder"


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(((?!http|#)[^)]+)\)", README))))
def test_links_of_the_readme_lead_somewhere(target: str) -> None:
    path, _, anchor = target.partition("#")
    text = (ROOT / path).read_text(encoding="utf-8") if path.endswith(".md") else ""
    assert (ROOT / path).exists()
    headings = [line.lstrip("# ").lower() for line in text.splitlines() if line.startswith("#")]
    anchors = {re.sub(r"[^\w -]", "", heading).replace(" ", "-") for heading in headings}
    assert not anchor or anchor in anchors
