"""A Python that starts at once: each of its processes is forked from one that has imported the large libraries.

Nine tenths of a job in a small study are imports, and most of the tests that run such studies ask what runs and what
comes out. Nothing of epsball is imported before the fork, so each process has the code that its PYTHONPATH leads to. A
process has its own directory, environment, arguments and streams; to be killed, it is better a real one.

    python -I tests/support/warm.py FOLDER

serves `FOLDER/python`, which stands in for the interpreter, until its standard input ends.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import NoReturn

_LIBRARIES = (
    "filelock",
    "jinja2",
    "matplotlib.pyplot",
    "nbformat",
    "numba",
    "pandas",
    "plotly.graph_objects",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "pydantic",
    "safetensors.torch",
    "scipy.stats",
    "requests",
    "seaborn",
    "skbio.stats.distance",
    "smart_open",
    "snakemake.cli",
    "torch",
    "torchvision",
    "xarray",
    "zarr.storage",
)

_Given = tuple[list[str], str, dict[str, str]]  # arguments, working directory and environment of a process

# Sends what an interpreter is given, and ends as the process that is forked for it does.
_CLIENT = """#!{python} -IS
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({place!r})
given = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(given).to_bytes(8, "big")], [0, 1, 2])
server.sendall(given)
code = server.recv(1)
os._exit(code[0] if code else 1)
"""


@functools.cache
def python() -> str:
    """Return the interpreter to start processes with; where none can be served, this one."""
    if not hasattr(os, "pidfd_open"):
        return sys.executable
    folder = Path(tempfile.mkdtemp(prefix="warm"))
    command = [sys.executable, "-I", __file__, str(folder)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    assert server.stdin is not None
    assert server.stdout is not None
    atexit.register(_stop, server, folder)
    assert server.stdout.read(1), "it has not started"
    return str(folder / "python")


def _stop(server: subprocess.Popen[bytes], folder: Path) -> None:
    server.communicate()
    shutil.rmtree(folder, ignore_errors=True)


def _serve(folder: Path) -> _Given | None:
    """Fork a process for each request; what is asked of it, in that process, and None in the server, at its end."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "socket"))
    listener.listen(64)
    os.write(1, b"1")
    running: dict[int, tuple[int, socket.socket]] = {}  # by a descriptor: the process, and who waits for it
    with selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd == 0:
                    for process, _ in running.values():
                        os.kill(process, signal.SIGKILL)
                    return None
                if key.fileobj is listener:
                    client, _ = listener.accept()
                    streams, given = _receive(client)
                    if not (process := os.fork()):
                        for number, stream in enumerate(streams):
                            os.dup2(stream, number)
                        for other in (listener, client, *(waiting for _, waiting in running.values())):
                            other.close()
                        for descriptor in (*streams, *running):
                            os.close(descriptor)
                        return given
                    for stream in streams:
                        os.close(stream)
                    descriptor = os.pidfd_open(process)
                    running[descriptor] = process, client
                    selector.register(descriptor, selectors.EVENT_READ)
                    selector.register(client, selectors.EVENT_READ, process)
                elif key.data is not None:
                    if key.fd in selector.get_map():  # it was killed, and so is what it waits for
                        os.kill(key.data, signal.SIGKILL)
                        selector.unregister(key.fd)
                else:
                    process, client = running.pop(key.fd)
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
                    if client.fileno() in selector.get_map():
                        selector.unregister(client)
                    with contextlib.suppress(OSError):
                        client.send(bytes([code if code >= 0 else 128 - code]))
                    client.close()


def _receive(client: socket.socket) -> tuple[list[int], _Given]:
    """Receive the streams of a process and what it is given."""
    size, streams, _, _ = socket.recv_fds(client, 8, 3)
    with client.makefile("rb") as file:
        arguments, directory, environment = json.loads(file.read(int.from_bytes(size, "big")))
    return streams, (arguments, directory, environment)


def _become(arguments: list[str], directory: str, environment: dict[str, str], executable: str) -> None:
    """Do what an interpreter does that is given these."""
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    import numpy as np
    import torch

    np.random.seed()  # noqa: NPY002 - that no process shares
    torch.set_num_threads(int(environment.get("OMP_NUM_THREADS", len(os.sched_getaffinity(0)))))
    sys.executable = executable
    place = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    module = arguments[0] == "-m"
    sys.argv = arguments[1:] if module else arguments
    sys.path[:0] = [directory if module else str(Path(arguments[0]).resolve().parent), *place]
    if any(Path(path, "sitecustomize.py").is_file() for path in place):
        sys.modules.pop("sitecustomize", None)
        importlib.import_module("sitecustomize")
    if module:
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(arguments[0], run_name="__main__")


def _end(code: int) -> NoReturn:
    """End as an interpreter does, but for taking all modules apart, which takes a second."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    """The command line."""
    folder = Path(sys.argv[1])
    for name in _LIBRARIES:
        importlib.import_module(name)
    import numba

    numba.njit("int64(int64)")(lambda x: x)  # what it does at its first function
    importlib.import_module("snakemake.cli").get_argument_parser()  # which looks for all plugins
    client = folder / "python"
    client.write_text(_CLIENT.format(python=sys.executable, place=str(folder / "socket")))
    client.chmod(0o755)
    gc.collect()
    gc.freeze()
    if (given := _serve(folder)) is None:
        _end(0)
    code: object = 0
    try:
        _become(*given, str(client))
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
    _end((code & 255) if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    main()
