"""What a factory does to the process that calls it stays in the call."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from epsball import user_code
from epsball.errors import EpsballError

FACTORY = """
import argparse, os, sys, threading, time

def ends():
    sys.exit(0)

def parses():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", required=True)
    return parser.parse_args()

def moves():
    os.chdir("/")
    return os.getcwd()

def fails_elsewhere():
    os.chdir("/")
    raise ValueError("there")

def stays():
    threading.Thread(target=time.sleep, args=(600,)).start()
    return "made"
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(FACTORY)
    (tmp_path / "script.py").write_text("import sys\nsys.exit(3)\n")
    return f"{tmp_path}/mine.py"


@pytest.mark.fault("a factory that ends the program: sys.exit(), parse_args()", "a sentence, and exit code 1")
@pytest.mark.parametrize(
    ("factory", "sentence"),
    [
        ("mine.py:ends", r"factory 'mine.py:ends' ends the program \(exit code 0\)"),
        ("mine.py:parses", r"factory 'mine.py:parses' ends the program \(exit code 2\).*parse_args"),
        ("script.py:any", r"factory 'script.py:any' ends the program \(exit code 3\)"),
        ("mine.py:fails_elsewhere", r"factory 'mine.py:fails_elsewhere' fails.*ValueError: there"),
    ],
)
def test_its_end_is_a_sentence(place: str, tmp_path: Path, factory: str, sentence: str) -> None:
    with pytest.raises(EpsballError, match=sentence):
        user_code.call(factory, lambda function: {})
    assert Path.cwd() == tmp_path


@pytest.mark.fault("a factory that changes the folder", "paths are from where they were")
def test_its_folder_is_its_own(place: str, tmp_path: Path) -> None:
    assert user_code.call("mine.py:moves", lambda function: {}) == "/"
    assert Path.cwd() == tmp_path


@pytest.mark.fault("a factory that leaves a thread", "the job ends")
def test_a_thread_that_it_leaves_ends_with_the_process(place: str) -> None:
    code = f"from epsball import user_code; print(user_code.call({place + ':stays'!r}, lambda function: {{}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "made"
