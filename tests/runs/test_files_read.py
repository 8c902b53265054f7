"""What a factory reads by itself is found, however it reads, and compared."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from epsball.config import NetworkSpec
from epsball.errors import EpsballError
from epsball.networks import model, weights
from epsball.runs import files_read
from epsball.runs.contents import Contents

FACTORY = """
import importlib, os, tempfile
from pathlib import Path
import numpy as np, torch
import safetensors.torch
from safetensors import safe_open
from torch import nn

def make():
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    with tempfile.NamedTemporaryFile("w+", dir=".") as own:  # written by itself: given by nobody
        open(own.name).read()
    {reads}
    return net
"""

READS = {
    "open": "net.mean = float(open('mine').read() or 0)",
    "pathlib": "Path('mine').read_bytes()",
    "descriptor": "os.close(os.open('mine', os.O_RDONLY))",
    "numpy": "np.load('mine.npy')",
    "memory map": "np.load('mine.npy', mmap_mode='r')",
    "torch": "torch.load('mine.pt')",
    "safetensors": "safetensors.torch.load_file('mine.safetensors')",
    "safe_open": "safe_open('mine.safetensors', 'pt').keys()",
    "module": "importlib.import_module('mi' + 'ne')",
}


def _write(path: Path, value: int) -> None:
    if path.suffix == ".npy":
        np.save(path, np.full(3, value))
    elif path.suffix == ".pt":
        torch.save({"a": torch.full((3,), value)}, path)
    elif path.suffix == ".safetensors":
        safetensors.torch.save_file({"a": torch.full((3,), value)}, path)
    else:
        path.write_text(str(value))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _since(kept: Path) -> str:
    return files_read.since(kept.parent, Contents(kept.with_name("contents.json")).digest)


@pytest.mark.fault("a file that a factory reads by itself, replaced ({id})", "noticed, and the network built anew")
@pytest.mark.parametrize("how", READS)
def test_a_file_that_a_factory_reads_is_noticed_once_it_is_another(here: Path, how: str) -> None:
    (here / "net.py").write_text(FACTORY.replace("{reads}", READS[how]))
    for suffix in ("", ".npy", ".pt", ".safetensors", ".py"):
        _write(here / f"mine{suffix}", 1)
    spec = NetworkSpec(name="one", dataset="d", factory="net.py:make")
    kept = here / "run" / "weights.safetensors"

    def build(since: str) -> set[str]:
        sys.modules.pop("mine", None)  # each job is a process of its own
        with files_read.recording() as read:
            module = model.build(spec)
        weights.save(module, kept)
        files_read.keep(kept.parent, read, since)
        return read

    assert _since(kept) == ""
    [mine] = build("") - {"net.py"}
    before = files_read.digest(kept.parent)
    assert Path(mine).stem == "mine"
    os.utime(mine)
    assert _since(kept) == ""
    model.restore(spec, kept)

    _write(here / mine, 2)
    os.utime(mine, (1e9, 1e9))
    with pytest.raises(EpsballError, match=rf"networks.one: '{mine}', which its factory reads, has changed"):
        model.restore(spec, kept)
    changed = _since(kept)
    assert changed != ""
    build(changed)
    assert files_read.digest(kept.parent) != before
    assert _since(kept) == changed, "built anew, so nothing is to be done"
    _write(here / mine, 1)
    assert _since(kept) not in (changed, ""), "the first one again, which is not what was built last"


def test_nothing_of_packages_is_noted(here: Path) -> None:
    with files_read.recording() as read:
        model.build(NetworkSpec(name="one", dataset="d", factory="torchvision:resnet18"), pretrained=False)
    assert read == set()


LISTING = {
    "glob": "sorted(Path('ck').glob('*.pt'))",
    "iterdir": "list(Path('ck').iterdir())",
    "listdir": "os.listdir('ck')",
    "scandir": "[entry.name for entry in os.scandir('ck')]",
}


@pytest.mark.fault("a folder from which a factory takes the newest file ({id})", "another file in it is noticed")
@pytest.mark.parametrize("how", LISTING)
def test_a_folder_that_a_factory_lists(here: Path, how: str) -> None:
    (here / "ck").mkdir()
    (here / "ck" / "1.pt").touch()
    (here / "factory.py").write_text(FACTORY.format(reads=LISTING[how]))
    with files_read.recording() as read:
        model.build(NetworkSpec("one", "here", "factory.py:make"))
    files_read.keep(here / "networks", read, "before")

    def since() -> str:
        return files_read.since(here / "networks", Contents(here / "contents.json").digest)

    assert {Path(name).name for name in read} == {"factory.py", "ck"}
    assert since() == "before"
    (here / "ck" / "1.pt").write_text("that it is read is another matter")
    (here / "ck" / "__pycache__").mkdir()
    assert since() == "before"
    (here / "ck" / "2.pt").touch()
    assert since() != "before"
