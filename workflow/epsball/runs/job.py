"""The frame of a job: its log, its errors, its exit code, and the record of what it made."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from epsball.errors import EpsballError, is_foreseen, print_on_any_terminal, sentence

if TYPE_CHECKING:
    from epsball.config import Config
    from epsball.runs.integrity import Inputs

SECONDS_TO_NOTICE = 1.0  # between looks whether Snakemake is still there
GC_THRESHOLD = 10_000, 10, 10  # objects; at Python's 700, a fifth of PyTorch's import time is spent looking for cycles


@contextlib.contextmanager
def job(snakemake: Any) -> Iterator[Config]:
    """Yield the configuration of a script's job, and see to its log, its errors and the record of what it made.

    Log to a file, and warnings to the terminal too; report a user's mistake in one sentence, without a traceback. A job
    ends when its Snakemake is killed, so that it cannot run beside the next one. A script imports the library inside
    the block, so that an error or Ctrl-C during the import is reported the same way.
    """
    began = time.time()
    gc.set_threshold(*GC_THRESHOLD)
    print_on_any_terminal()
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    path = Path(snakemake.log[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setLevel(logging.WARNING)  # the progress of all jobs is reported by Snakemake's process
    log, libraries = logging.getLogger("epsball"), logging.getLogger("py.warnings")
    handlers = (logging.FileHandler(path, mode="w", encoding="utf-8"), terminal)
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
        log.addHandler(handler)
    libraries.addHandler(handlers[0])
    log.setLevel(logging.INFO)
    logging.raiseExceptions = False  # a log that cannot be written does not fail the job
    # A library may give the root logger a handler, which would print everything twice.
    log.propagate = libraries.propagate = False
    logging.captureWarnings(True)
    try:
        from epsball.config import load_config

        config = load_config(snakemake.config)
        from epsball.runs import integrity, provenance_records  # imported here for the same reason

        inputs = integrity.Inputs.of([*snakemake.input, *snakemake.params.get("given", ())])
        yield config
        _require_as_begun(snakemake, config, inputs, began)
        provenance_records.record(
            snakemake.output,
            inputs.digests,
            rule=snakemake.rule,
            wildcards=dict(snakemake.wildcards.items()),
            fingerprint=snakemake.params.get("fingerprint"),
            versions=snakemake.params.get("versions", {}),
            configuration=snakemake.config,
        )
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        log.error("error: %s", sentence(error, path))
        if not is_foreseen(error):
            log.info("where:", exc_info=error)  # in the file alone
        sys.exit(1)
    finally:
        logging.captureWarnings(False)
        logging.raiseExceptions = True
        libraries.removeHandler(handlers[0])
        log.propagate = libraries.propagate = True
        for handler in handlers:
            log.removeHandler(handler)
            with contextlib.suppress(OSError):  # its last lines may not fit on a full disk
                handler.close()
        gc.freeze()  # else Python spends a second at exit looking for cycles among PyTorch's objects


def _require_as_begun(snakemake: Any, config: Config, inputs: Inputs, began: float) -> None:
    from epsball.runs import code_in_use, files

    try:
        inputs.require_unchanged()
        mix = config.other_versions == "mix"
        code_in_use.require(config.folder, snakemake.params.get("versions", {}), began, mix)
    except EpsballError:
        for path in map(Path, snakemake.output):
            files.forget(path, began)
        raise


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(SECONDS_TO_NOTICE)
    os.kill(os.getpid(), signal.SIGKILL)
