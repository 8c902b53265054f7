"""Typical mistakes of a new user, through the command line, and the page that explains what is shown for each."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from epsball.commands.cli import main
from PIL import Image
from support.toys import ROOT
from torch import nn

PAGE = (ROOT / "docs" / "howto" / "errors.md").read_text(encoding="utf-8")
FOLDER = "{kind: imagefolder, root: photos, classes: classes.txt, resize: 32, crop: 32}"


def change(file: str, old: str, new: str) -> Callable[[], None]:
    """Makes a mistake in a file of the tutorial."""

    def make() -> None:
        text = Path(file).read_text()
        assert old in text
        Path(file).write_text(text.replace(old, new, 1))

    return make


def config(old: str, new: str) -> Callable[[], None]:
    return change("mine.yaml", old, new)


def forward(code: str) -> Callable[[], None]:
    return change("mine.py", "return self.net((x - 0.5) / 0.25)", code)


def function() -> None:
    config("    layer: net.3", "    #")()
    forward("return 2 * self.net((x - 0.5) / 0.25)")()


def scaled() -> None:
    config("    layer: net.3", "    #")()
    change("mine.py", "    return module", "    return nn.Sequential(module, nn.BatchNorm1d(3))")()


def several_ends() -> None:
    config("    layer: net.3", "    #")()
    forward("y = self.net((x - 0.5) / 0.25); return torch.where(torch.arange(len(x))[:, None] > 9, 2 * y, y)")()


def module() -> None:
    change("mine.py", "def make(", "net = nn.Linear(1, 1)\n\ndef make(")()
    config("mine.py:make", "mine.py:net")()


def arrays(shape: tuple[int, ...], labels: range) -> Callable[[], None]:
    def make() -> None:
        np.savez("a.npz", images=np.zeros(shape, np.uint8), labels=np.array(labels))
        config(FOLDER, "{kind: arrays, root: a.npz}")()

    return make


def flatten() -> None:
    for path in sorted(Path("photos").rglob("*.png")):
        path.rename(Path("photos") / path.name)


def lift() -> None:
    Path("all").mkdir()
    Path("photos").rename("all/photos")
    config("root: photos, classes: classes.txt", "root: all")()


def lift_listed() -> None:
    lift()
    config("root: all", "root: all, classes: classes.txt")()


def empty() -> None:
    for path in Path("photos").rglob("*.png"):
        path.unlink()


def rename_folder() -> None:
    Path("photos").rename("pictures")


def other_size() -> None:
    config(", resize: 32, crop: 32", "")()
    Image.new("RGB", (50, 50)).save("photos/red/1.png")


def write(file: str, content: str | bytes) -> Callable[[], None]:
    def make() -> None:
        Path(file).write_bytes(content.encode() if isinstance(content, str) else content)

    return make


def save(thing: object) -> Callable[[], None]:
    return lambda: torch.save(thing, "weights.pt")


# What a user does, and what is shown: in the page too, but where the last column is empty.
MISTAKES: dict[str, tuple[Callable[[], None], str]] = {
    "tab": (config("  mine:\n", "\tmine:\n"), "is not YAML: … indent with spaces"),
    "no UTF-8": (write("mine.yaml", b"run: gr\xfcn\n"), "configuration 'mine.yaml' is not text in UTF-8"),
    "unknown key": (config("samples:", "sample:"), "unknown key 'sample' in the file; did you mean 'samples'?"),
    "wrong type": (config("samples: 20", "samples: twenty"), "samples is 'twenty'; expected: integer"),
    "no list": (config("samples: 20", "radii: 1-20"), "radii is '1-20'; expected: a list, such as [1, 2]"),
    "nothing below": (write("mine.yaml", "datasets:\nnetworks:\n"), "datasets is empty; expected: keys with values"),
    "number as a name": (
        config("  mine:\n", "  12:\n"),
        "networks has the name 12, which YAML takes for no text; put it in quotes",
    ),
    "slash in a name": (
        config("  mine:\n", "  my/net:\n"),
        "networks has the name 'my/net'; expected: letters, digits, . _ -, at most 80",
    ),
    "dataset": (
        config("dataset: photos", "dataset: photo"),
        "networks.mine.dataset is 'photo', no dataset of this configuration; did you mean 'photos'?",
    ),
    "text for a path": (
        config("root: photos", "root: " + "r" * 300),
        "datasets.photos.root is 'rrr…; names of files and folders have at most 255 bytes",
    ),
    "percent": (config("samples: 20", "threshold: 99"), "threshold is 99; it must be below 1"),
    "name of torchvision's": (
        config("mine.py:make", "torchvision:resnet5O"),
        "factory 'torchvision:resnet5O' does not exist; did you mean 'resnet50'?",
    ),
    "file of the factory": (
        config("mine.py:make", "min.py:make"),
        "factory's file 'min.py' does not exist; paths are from the folder that the command runs in",
    ),
    "function": (
        config("mine.py:make", "mine.py:mak"),
        "factory 'mak' does not exist in mine.py; did you mean 'make'?",
    ),
    "syntax": (
        change("mine.py", "def make(width, weights):", "def make(width, weights)"),
        "factory's file 'mine.py' fails: SyntaxError: …",
    ),
    "arguments": (config("{width: 8}", "{wdth: 8}"), "factory 'mine.py:make' fails: …"),
    "no return": (
        change("mine.py", "    return module", "    pass"),
        "factory 'mine.py:make' returned NoneType, expected a torch.nn.Module",
    ),
    "no batch": (
        forward("return self.net((x - 0.5) / 0.25).squeeze()"),
        "gives a tensor (3,) of float32 for one image and a tensor (2, 3) of float32 for two, expected logits, …",
    ),
    "tuple": (forward("return self.net((x - 0.5) / 0.25), 1"), "gives a tuple of 2 for one image"),
    "dropout": (
        forward("return self.net(torch.nn.functional.dropout((x - 0.5) / 0.25))"),
        "the same image has different scores from pass to pass (…)",
    ),
    "rare dropout": (
        forward("return self.net((x - 0.5) / 0.25) * float(torch.rand(()) > 1e-9)"),
        "a pass draws random numbers (…), so the same image can have other scores, however rarely; …",
    ),
    "state": (
        forward(
            "self.calls = getattr(self, 'calls', 0) + 1; return self.net((x - 0.5) / 0.25) * (1 + self.calls / 1e7)"
        ),
        "it keeps state that each pass changes and outputs depend on (…), …",
    ),
    "hook of the network's": (
        change(
            "mine.py",
            "    return module",
            "    module.net[0].register_forward_hook(lambda *given: setattr(module, 'kept', given[-1])); return module",
        ),
        "a function that the network holds, such as a hook, a lambda or a patched forward, uses the network …",
    ),
    "hook on a compiled network": (
        change(
            "mine.py",
            "    return module",
            "    module = torch.compile(module); module.register_forward_pre_hook(lambda *given: None); return module",
        ),
        "the network has hooks on what torch.compile returned; …",
    ),
    "end of the program": (
        forward("raise SystemExit(0)"),
        "the network's forward pass ends the program (exit code 0), …",
    ),
    "module for a function": (module, "factory 'mine.py:net' is a module, not a function; …"),
    "relative import": (
        write("mine.py", "from .net import make\n"),
        "name a file of a package as a module, such as package.file:function",
    ),
    "batch statistics": (
        forward("return self.net((x - x.mean()) / x.std())"),
        "the scores of an image depend on the other images of its batch (…)",
    ),
    "told by the largest": (
        forward("return self.net(((x / 255 if x.max() > 1 else x) - 0.5) / 0.25)"),
        "the scores of an image depend on whether another image of its batch has values beyond [0, 1] (…); …",
    ),
    "set by the largest": (
        forward("self.most = max(getattr(self, 'most', 0), float(x.max())); return self.net(x / self.most)"),
        "the scores of an image depend on the images that were passed before it (…); …",
    ),
    "strides": (
        forward("return self.net(x.as_strided(x.shape, torch.empty(x.shape).stride()))"),
        "the scores of an image depend on how a batch lies in memory (…); …",
    ),
    "classifier as a function": (
        function,
        "no layer's output is the logits, so the input of the classification layer is unknown; …",
    ),
    "scaled logits": (scaled, "… which is not one classification layer"),
    "layer used twice": (
        forward("self.net[3](x); return self.net((x - 0.5) / 0.25)"),
        "its layer 'net.3' runs 2 times in a pass",
    ),
    "several ends": (
        several_ends,
        "the logits of some images are not the output of 'net.4', its classification layer",
    ),
    "features not finite": (
        forward("y = self.net[:3]((x - 0.5) / 0.25); self.net[3](y / 0); return self.net[4](y.flatten(1))"),
        "its features, the output of net.3, are not finite",
    ),
    "one logit": (
        forward("return self.net((x - 0.5) / 0.25)[:, :1]"),
        "has 1 output, expected a logit for each class; …",
    ),
    "TorchScript": (
        change("mine.py", "    return module", "    return torch.jit.trace(module, torch.rand(1, 3, 32, 32))"),
        "is TorchScript, whose layers cannot be looked into; …",
    ),
    "lazy": (
        change("mine.py", "    return module", "    return nn.Sequential(nn.LazyConv2d(3, 3))"),
        "has no shape before its first pass; …",
    ),
    "quantised": (
        change("mine.py", "    return module", "    return torch.ao.quantization.quantize_dynamic(module)"),
        "of its state is a dtype, as of a quantised layer, …",
    ),
    "sigmoid": (forward("return self.net((x - 0.5) / 0.25).sigmoid()"), "… as a sigmoid's do …"),
    "softmax": (
        forward("return self.net((x - 0.5) / 0.25).softmax(1)"),
        "its outputs look like probabilities, expected logits; leave out its last softmax",
    ),
    "its own assertion": (forward("assert x.shape[-1] == 224"), "does not take an image of shape (3, 32, 32): …"),
    "division": (
        forward("return self.net((x - 0.5) / 0.0)"),
        "the network's logits are not finite; check its weights and normalisation",
    ),
    "no weights": (lambda: Path("weights.pt").unlink(), "weights 'weights.pt' do not exist; expected a file"),
    "a web page": (
        write("weights.pt", "<html>"),
        "hold no plain arrays, which is all that weights_only=True loads",
    ),
    "a whole module": (save(nn.Linear(3, 3)), "hold no plain arrays, which is all that weights_only=True loads"),
    "other weights": (save(nn.Linear(3, 3).state_dict()), "Missing key(s) in state_dict: …"),
    "weights of another size": (
        save(dict.fromkeys(["0.weight", "0.bias", "4.weight", "4.bias"], torch.zeros(2, 2))),
        "size mismatch for 0.weight: …",
    ),
    "layer": (
        config("layer: net.3", "layer: net.fc"),
        "layer 'net.fc' does not exist in the network; did you mean 'net.4'?",
    ),
    "no folder": (rename_folder, "root is 'photos', no such folder; expected one folder a class in it"),
    "hyperplane_ratio": (flatten, "no image is where it is looked for, photos/<class>/<image>; one that is not: …"),
    "too high": (lift, "no image is where it is looked for, all/<class>/<image>; one that is not: 'all/photos/"),
    "too high, with its class list": (
        lift_listed,
        "no image is where it is looked for, all/<class>/<image>; one that is not: 'all/photos/",
    ),
    "empty": (empty, "no image was found; check its root"),
    "class list": (
        write("classes.txt", "0 red\n1 green\n2 blue\n"),
        "classes.txt: does not list 'blue', a folder of photos; …",
    ),
    "class list no UTF-8": (write("classes.txt", b"gr\xfcn\n"), "classes.txt: is not text in UTF-8"),
    "class too many": (
        write("classes.txt", "red\ngreen\nblue\nblack\n"),
        "has 3 outputs, but the class list of dataset 'photos' has 4 entries; list one class an output",
    ),
    "labels from 1": (
        arrays((3, 32, 32, 3), range(1, 4)),
        "has 3 outputs, but dataset 'photos' has labels from 1 to 3; labels count from 0 in the order of the outputs",
    ),
    "channels first": (
        arrays((4, 3, 32, 32), range(4)),
        "images are uint8 (4, 3, 32, 32), expected uint8 (n, height, width, 3), RGB",
    ),
    "sizes": (
        other_size,
        "50 × 50 pixels, expected 40 × 36 as the first image; set resize and crop for the dataset",
    ),
    "crop": (config("crop: 32", "crop: 64"), "36 × 32 pixels, expected at least 64; set resize: 64 or more"),
}

NOT_IN_THE_PAGE = {
    "no UTF-8",
    "no list",
    "tuple",
    "too high",
    "too high, with its class list",
    "class list no UTF-8",
}
# A wrong path below; a machine without a GPU; checkpoints, states and files of networks, in tests/networks.
OF_OTHER_TESTS = (
    "configuration 'min.yaml' cannot",
    "device is cuda",
    "weights hold",
    "w.pth: weights have no",
    "weights 'fc.weight' are int8",
    "is a web page",
    "is a pointer of Git LFS",
    "converted at 224",
    "of its state is a dict",
    "of its state is a sparse_coo",
    "of its state is of complex128",
    "the network cannot be copied",
    "has weights that are not among",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_shown_in_a_sentence(tutorial: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    make, sentence = MISTAKES[name]
    make()
    assert main(["check", "mine.yaml"]) == 1
    shown = capsys.readouterr()
    for part in sentence.split("…"):
        assert part.strip() in shown.out + shown.err
    assert len((shown.out + shown.err).splitlines()[-1]) < 600


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["check", "min.yaml"], "configuration 'min.yaml' cannot be read: No such file or directory"),
        (["check", "mine.yaml", "--images", "0"], "--images is 0; it must be at least 1"),
    ],
)
def test_a_mistake_on_the_command_line(
    tutorial: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert main(arguments) == 1
    assert sentence in capsys.readouterr().err


def quoted(title: str) -> list[str]:
    """What the page says is seen, of a section."""
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    rows = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| ") and "`" in line]
    return [sentence for row in rows for sentence in re.findall(r"`([^`]+)`", row)]


def test_the_page_has_each_of_these_and_no_other() -> None:
    shown = {sentence for name, (_, sentence) in MISTAKES.items() if name not in NOT_IN_THE_PAGE}
    told = {sentence for title in ("The configuration", "The network", "The images") for sentence in quoted(title)}
    assert {sentence for sentence in told if not sentence.startswith(OF_OTHER_TESTS)} == shown


@pytest.mark.parametrize("title", ["An accuracy that is too low", "While it runs"])
def test_what_the_page_says_of_a_run_is_what_the_code_says(title: str) -> None:
    """Other tests bring these about; here, that nobody has changed the words since."""
    package = ROOT / "workflow" / "epsball"
    files = [*package.rglob("*.py"), *package.rglob("*.j2")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in files)
    code += (ROOT / "tests" / "workflow" / "test_workflow.py").read_text(encoding="utf-8")
    code = re.sub(r'"\s*\n\s*f?"', "", code)
    sentences = quoted(title)
    assert len(sentences) >= 4
    for sentence in sentences:
        words = sentence.removeprefix("right, but 100% ")
        assert all(part in code for part in words.split(": ")), sentence


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("gone.yaml", None, "FileNotFoundError: [Errno 2] No such file or directory: 'gone.yaml'"),
        ("mine.yaml", "datasets:\n\ta: 1\n", "Config file is not valid JSON or YAML"),
        ("mine.yaml", "", "Config file must be given as JSON or YAML with keys at top level"),
    ],
)
def test_what_snakemake_says_of_a_configuration(tmp_path: Path, file: str, content: str | None, sentence: str) -> None:
    if content is not None:
        (tmp_path / file).write_text(content)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--configfile", file]
    done = subprocess.run([*command, "--cores", "1"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert sentence in done.stderr
    assert sentence.replace("gone.yaml", "mine.yaml") in PAGE
