"""Run a command beside a SLURM of one node, with a pretended GPU, that is started for it on this machine.

    PYTHONPATH=tests python -m support.slurm COMMAND [ARGUMENT ...]

Needs root, Debian's packages slurm-wlm and munge, which it installs where they are missing, and no other SLURM here.
Where that cannot be, it says why and runs the command without one.
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from support.study import in_reach

# SLURM_CONF does not reach the steps inside a job: this is the place.
_ETC = Path("/etc/slurm")

_OURS = "# Made by tests/support/slurm.py\n"

_CONFIGURATION = """
ClusterName=local
SlurmctldHost={node}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
KillWait=5
MinJobAge=3600
AccountingStorageType=accounting_storage/none
ReturnToService=2
MpiDefault=none
GresTypes=gpu
NodeName={node} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=100000 Gres=gpu:1
PartitionName=main Nodes={node} Default=YES
"""


def obstacle() -> str | None:
    """Why no SLURM can be started here, if so; installs what is missing."""
    if os.geteuid():
        return "only root can start it"
    if (conf := _ETC / "slurm.conf").exists() and (in_reach() or not conf.read_text().startswith(_OURS)):
        return f"{_ETC / 'slurm.conf'} is there: this machine has a SLURM of its own"
    if shutil.which("slurmctld") is None:
        if shutil.which("apt-get") is None:
            return "there is no apt-get to install it with"
        for command in (["apt-get", "-qq", "update"], ["apt-get", "-qq", "-y", "install", "slurm-wlm", "munge"]):
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                return f"{' '.join(command)} failed: {done.stderr.strip()[-200:]}"
    return None


def run(command: list[str], folder: Path) -> int:
    """Start a SLURM, run a command, and stop the SLURM; the command's exit code."""
    node = platform.node().split(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir()
    text = _OURS + _CONFIGURATION.format(node=node, folder=folder, cpus=os.cpu_count())
    files = {
        _ETC / "slurm.conf": text,
        _ETC / "gres.conf": f"NodeName={node} Name=gpu File=/dev/null\n",
    }
    services: list[subprocess.Popen[bytes]] = []
    try:
        for path, content in files.items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)
        Path("/run/munge").mkdir(exist_ok=True)
        shutil.chown("/run/munge", "munge", "munge")
        for service in (
            ["runuser", "-u", "munge", "--", "/usr/sbin/munged", "--foreground"],
            ["slurmctld", "-D"],
            ["slurmd", "-D"],
        ):
            with (folder / f"{service[-2].rsplit('/', 1)[-1]}.log").open("wb") as log:
                services.append(subprocess.Popen(service, stdout=log, stderr=log))
            time.sleep(1)
        _wait_until_idle(folder)
        return subprocess.run(command, check=False).returncode
    finally:
        for process in reversed(services):
            process.terminate()
            process.wait()
        for path in files:
            path.unlink(missing_ok=True)


def _wait_until_idle(folder: Path) -> None:
    end = time.monotonic() + 60
    state = ""
    while "idle" not in state:
        if time.monotonic() > end:
            logs = "\n".join(path.read_text()[-500:] for path in folder.glob("*.log"))
            raise SystemExit(f"SLURM did not start (sinfo: {state.strip()}):\n{logs}")
        time.sleep(0.5)
        done = subprocess.run(["sinfo", "--noheader", "--format=%T"], capture_output=True, text=True, check=False)
        state = done.stdout + done.stderr


def main() -> int:
    """The command line."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # stop the services all the same
    if (why := obstacle()) is not None:
        print(f"No SLURM is started: {why}.", flush=True)
        return subprocess.run(sys.argv[1:], check=False).returncode
    with tempfile.TemporaryDirectory() as folder:
        return run(sys.argv[1:], Path(folder))


if __name__ == "__main__":
    sys.exit(main())
