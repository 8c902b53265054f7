"""The command line, on the example of the documentation: a network and data of one's own, by configuration alone."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import epsball
import numpy as np
import pytest
import torch
import yaml
from epsball.commands import cost
from epsball.commands.cli import main
from epsball.config import load_config
from epsball.networks import model, weights
from support.toys import ROOT
from torch import nn


@pytest.mark.slow
def test_check_shows_a_network_that_fits(tutorial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "mine.yaml"]) == 0
    header, row, _, duration = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"At these rates the whole run takes about \d+ minutes? on 1 core\.", duration)
    interval = "100%_(91%_to_100%)"
    row = row.replace("output of ", "").replace(interval.replace("_", " "), interval)
    found = dict(zip(header.split(), row.split(maxsplit=9), strict=True))
    assert found["features"] == "net.3"
    assert (found["network"], found["dataset"], found["images"]) == ("mine", "photos", "40")
    assert (found["parameters"], found["units"], found["classes"]) == (str(8 * 28 + 27), "8", "3")
    assert found["accuracy"] == interval
    assert found["sure"].startswith(interval)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "accuracy", "sentence"),
    [
        ("x.flip(1)", "32%", "mine: 32% right, but 100% with channels reversed: its factory seems to expect BGR"),
        ("x / 255", None, "100% with values from 0 to 255: its factory seems to expect values from 0 to 255"),
        ("x.flip(1) / 255", None, "100% with channels reversed and values from 0 to 255: its factory seems to expect"),
    ],
)
def test_check_recognises_what_a_network_expects(
    tutorial: Path, capsys: pytest.CaptureFixture[str], step: str, accuracy: str | None, sentence: str
) -> None:
    text = Path("mine.py").read_text()
    assert "(x - 0.5)" in text
    Path("mine.py").write_text(text.replace("(x - 0.5)", f"({step} - 0.5)"))
    # A small offset of one output decides where all channels are nearly black.
    state = torch.load("weights.pt", weights_only=True)
    state["4.bias"] = torch.tensor([0.0, 0.05, 0.0])
    torch.save(state, "weights.pt")
    assert main(["check", "mine.yaml"]) == 0
    shown = capsys.readouterr().out
    assert accuracy is None or f" {accuracy}" in shown
    assert sentence in shown


@pytest.mark.slow
@pytest.mark.parametrize(
    ("classes", "sentence"),
    [
        ("none\nred\ngreen\nblue\n", "mine: 0% right, but 100% with 1 taken from each label: the labels seem to"),
        ("red\ngreen\nblue\nnone\n", "mine: 0% right, but 100% with 1 added to each label: the network's outputs"),
    ],
)
def test_check_recognises_labels_off_by_one(
    tutorial: Path, capsys: pytest.CaptureFixture[str], classes: str, sentence: str
) -> None:
    state = torch.load("weights.pt", weights_only=True)
    head = torch.zeros(4, 8)
    order = (0, 1, 2) if classes.startswith("none") else (1, 2, 3)
    head[list(order), range(3)] = 8.0
    state["4.weight"], state["4.bias"] = head, torch.zeros(4)
    torch.save(state, "weights.pt")
    Path("mine.py").write_text(Path("mine.py").read_text().replace("nn.Linear(width, 3)", "nn.Linear(width, 4)"))
    Path("classes.txt").write_text(classes)
    assert main(["check", "mine.yaml"]) == 0
    assert sentence in capsys.readouterr().out


@pytest.mark.slow
def test_check_takes_the_weights_of_the_configuration_not_those_of_an_earlier_run(
    tutorial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = load_config(yaml.safe_load(Path("mine.yaml").read_text())).networks["mine"]
    blank = model.build(spec, pretrained=True)
    for parameter in blank.parameters():
        nn.init.zeros_(parameter)
    weights.save(blank, Path("results/mine/networks/mine/weights.safetensors"))
    assert main(["check", "mine.yaml"]) == 0
    assert "100%" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("classes", "accuracy", "order"),
    [
        ("green\nblue\nred\n", "0%", "green (0), blue (1), red (2) are outputs 1, 2, 0"),
        ("blue\nred\ngreen\n", "0%", "blue (0), red (1), green (2) are outputs 2, 0, 1"),
        ("red\nblue\ngreen\n", None, "blue (1), green (2) are outputs 2, 1"),
    ],
)
@pytest.mark.usefixtures("tutorial")
def test_check_recognises_classes_in_another_order(
    capsys: pytest.CaptureFixture[str], classes: str, accuracy: str | None, order: str
) -> None:
    Path("classes.txt").write_text(classes)
    assert main(["check", "mine.yaml"]) == 0
    shown = capsys.readouterr().out
    assert f"{accuracy or ''} right, but 100% with the classes in another order" in shown
    assert f"what they call {order}; list or number" in shown


@pytest.mark.slow
@pytest.mark.usefixtures("tutorial")
def test_check_says_where_the_threshold_leaves_too_few(capsys: pytest.CaptureFixture[str]) -> None:
    config = yaml.safe_load(Path("mine.yaml").read_text())
    Path("mine.yaml").write_text(yaml.safe_dump({**config, "threshold": 0.999999999999999}))
    assert main(["check", "mine.yaml"]) == 0
    shown = capsys.readouterr().out
    assert re.search(
        r"mine: \d+ of \d+ images are right with a score above 0.999999999999999, so of \d+ about \d+ may", shown
    )
    assert re.search(r"samples are asked for\. If \d+% right is less than you know of the network, check norm", shown)


@pytest.mark.slow
@pytest.mark.parametrize("bias", [[0.0, 0.0, 1e6], None])
def test_check_is_silent_about_a_network_that_guesses(
    tutorial: Path, capsys: pytest.CaptureFixture[str], bias: list[float] | None
) -> None:
    """One that gives the rarest class to everything, right more often with other labels; and one without training."""
    for path in sorted(Path("photos/blue").glob("*.png"))[3:]:
        path.rename(Path("photos/green") / path.name)
    state = torch.load("weights.pt", weights_only=True)
    if bias is None:
        state = {
            name: torch.randn(values.shape, generator=torch.Generator().manual_seed(4))
            for name, values in state.items()
        }
    else:
        state["4.bias"] = torch.tensor(bias)
    torch.save(state, "weights.pt")
    assert main(["check", "mine.yaml"]) == 0
    assert "right, but" not in capsys.readouterr().out


@pytest.mark.slow
def test_check_says_where_the_layer_gives_the_logits(tutorial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = Path("mine.yaml").read_text()
    Path("mine.yaml").write_text(text.replace("layer: net.3", "layer: net.4"))
    assert main(["check", "mine.yaml"]) == 0
    assert "mine: the output of layer 'net.4' is the logits; what enters the" in capsys.readouterr().out


@pytest.mark.slow
def test_check_keeps_its_rates_for_the_plan(tutorial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = ["plan", "mine.yaml", "--cores", "2"]
    assert main(plan) == 0
    assert "Of mine no rate is known" in capsys.readouterr().out
    assert main(["check", "mine.yaml"]) == 0
    header, row, *_ = capsys.readouterr().out.splitlines()
    rate = float(row.split()[header.split().index("images/s") + len(["input", "of"])])
    assert main(plan) == 0
    shown = capsys.readouterr().out
    assert "nominal, but measured for mine" in shown
    assert f" {rate:.1f} " in shown


def test_check_lists_layers_with_shapes(tutorial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "mine.yaml", "--layers", "mine"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["layer", "module", "shape", "units"]
    named = {line.split()[0]: line for line in lines[1:]}
    configured = yaml.safe_load(Path("mine.yaml").read_text())["networks"]["mine"]["layer"]
    assert named[configured].split()[-1] == "8"
    assert named["net.0"].split() == ["net.0", "Conv2d", "8", "×", "30", "×", "30", "7200"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["check", "gone/gone.yaml"],
            "error: configuration 'gone/gone.yaml' cannot be read: No such file or directory\n",
        ),
        (
            ["check", "mine.yml"],
            "error: configuration 'mine.yml' cannot be read: No such file or directory; did you mean 'mine.yaml'?",
        ),
        (["check", "mine.yaml", "--layers", "min"], "error: --layers is 'min', no network of the configuration; did"),
        (["check", "weights.pt"], "error: configuration 'weights.pt' is not YAML"),
    ],
)
def test_mistakes_are_one_sentence(
    tutorial: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    Path("weights.pt").write_text("a: [")
    assert main(arguments) == 1
    assert sentence in capsys.readouterr().err


CONFIG = str(ROOT / "config" / "paper.yaml")


def test_the_plan_is_that_of_the_library(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", CONFIG, "--cores", "3"]) == 0
    assert capsys.readouterr().out == cost.describe(load_config(yaml.safe_load(Path(CONFIG).read_text())), 3, {})


def test_without_a_command_there_is_help_that_names_all_and_each_has_an_example(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([]) == 0
    text = capsys.readouterr().out
    commands = re.findall(r"^    (\w+)", text.split("commands:")[1], re.MULTILINE)
    assert {"check", "plan", "explain", "readings", "sensitivity"} <= set(commands)
    for command in commands:
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        said = capsys.readouterr().out
        assert f"\n  epsball {command} " in said, "an example"
        assert re.search(r"^(prints|writes) ", said, re.MULTILINE), "what comes out"
        assert max(map(len, said.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["chek", "mine.yaml"], "epsball: error: 'chek' is no command; did you mean 'check'?"),
        (["check"], "epsball check: error: the following arguments are required: config"),
        (["check", "mine.yaml", "--images", "few"], "argument --images: invalid int value: 'few'"),
    ],
)
def test_a_command_line_that_is_not_understood(
    capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"epsball {epsball.__version__}\n"


def completed(script: str, folder: Path, *words: str) -> set[str]:
    """What bash completes the last word to."""
    ask = f"""
{script}
COMP_WORDS=({" ".join(f"'{word}'" for word in words)})
COMP_CWORD={len(words) - 1}
$(complete -p epsball | sed -E 's/.*-F ([^ ]+).*/\\1/') epsball '{words[-1]}' '{words[-2]}'
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", ask], cwd=folder, capture_output=True, text=True, check=False)
    assert not done.stderr
    return set(done.stdout.split())


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_options_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--print-completion", "bash"])
    script = capsys.readouterr().out
    (tmp_path / "mine.yaml").touch()
    assert completed(script, tmp_path, "epsball", "ex") == {"explain"}
    assert {"check", "plan", "explain"} <= completed(script, tmp_path, "epsball", "")
    assert completed(script, tmp_path, "epsball", "check", "--la") == {"--layers"}
    assert completed(script, tmp_path, "epsball", "check", "mi") == {"mine.yaml"}


def test_zsh_has_a_script_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--print-completion", "zsh"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("#compdef epsball")


COMMAND = [sys.executable, "-m", "epsball.commands.cli"]


@pytest.mark.slow
@pytest.mark.fault("Ctrl-C during a command", "exit code 130, and no traceback")
def test_ctrl_c_ends_without_a_traceback(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mine.yaml")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it, and so would this
    process = subprocess.Popen(
        [*COMMAND, "readings", "mine.yaml", "."], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    with (tmp_path / "mine.yaml").open("w"):  # once the command reads it
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "")


@pytest.mark.fault("a command whose output does not fit on the disk", "a sentence, and exit code 1")
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_full_disk_is_told() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "--print-completion", "bash"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr.startswith("error: No space left on device; ")
    assert "make room and run the same command again" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.fault("a reader of the output that ends first", "exit code 141, and no traceback")
def test_a_reader_that_has_enough_ends_it_without_a_traceback() -> None:
    process = subprocess.Popen(
        [*COMMAND, "--print-completion", "bash"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 141


@pytest.mark.slow
def test_a_broken_image_is_named_and_counted(tutorial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tutorial / "photos" / "red" / "0.png").write_bytes(np.random.default_rng(1).bytes(50))
    assert main(["check", "mine.yaml", "--images", "100"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[2] == "60"
