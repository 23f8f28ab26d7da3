"""Steps of a build that hang, ask, hide or are called off: ended with all they started, log kept (SAFETY C09)."""

from __future__ import annotations

import os
import shlex
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from createos_nb.platform.builds import build
from createos_nb.platform.cgroups import Cgroups
from createos_nb.platform.workshop import BuildFailed, BuildSettings
from tests.platform.conftest import eventually
from tests.platform.test_builds import log, source

pytestmark = pytest.mark.anyio
__all__ = ["log", "source"]  # Fixtures of test_builds.

OURS = f"test-steps-{os.getpid()}"

# A grandchild, one in a session of its own, and one that nothing but a control group can tell whose it is.
HIDES = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
nap = [sys.executable, "-I", "-S", "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"]
pids = [os.getpid(), subprocess.Popen(nap).pid, subprocess.Popen(nap, start_new_session=True).pid]
if CLEARS:
    told, tells = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if (daemon := os.fork()) == 0:
            os.execve(nap[0], nap, {})
        os.write(tells, str(daemon).encode())
        os._exit(0)
    os.wait()
    pids.append(int(os.read(told, 20)))
open("pids.new", "w").write(" ".join(map(str, pids)))
os.rename("pids.new", "pids")
print("It hides.", flush=True)
time.sleep(600)
"""


def left(pids):
    """Return those that still run."""
    running = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                running.append(pid)
    return running


@pytest.mark.parametrize("step", ["install_command", "build_command"])
async def test_a_step_that_hangs_is_ended_at_its_deadline_with_all_it_started(source, log, step):
    cgroups = Cgroups(OURS)
    files = {"index.html": "", "package.json": "{}", "hides.py": f"CLEARS = {bool(cgroups.enforced)}\n{HIDES}"}
    made = source(files)
    settings = BuildSettings(runtime="static", **{step: f"{shlex.quote(sys.executable)} hides.py"})
    with pytest.raises(BuildFailed, match=r"took longer than .* See the last lines of its log"):
        await build(made, settings, log, owner=OURS, timeout_s=4, cgroups=cgroups)
    pids = [int(pid) for pid in (made / "pids").read_text().split()]
    assert len(pids) == 3 + bool(cgroups.enforced)
    assert left(pids) == []
    assert "It hides." in str(log)
    assert not [place for base in cgroups.bases for place in base.glob("*/")]
    cgroups.sweep()


@pytest.mark.parametrize(
    ("asks", "said"),
    [
        ("read answer && echo it is $answer", "exit code 1"),
        (f"{shlex.quote(sys.executable)} -c 'input(\"Password: \")'", "exit code 1"),
        ("echo 'Password: ' > /dev/tty", "exit code"),
    ],
    ids=["shell", "python", "terminal"],
)
async def test_a_step_that_asks_somebody_gets_no_answer_and_does_not_wait(source, log, asks, said):
    with pytest.raises(BuildFailed, match=said):
        await build(source({"index.html": ""}), BuildSettings(runtime="static", build_command=asks), log)


@pytest.mark.parametrize("stage", ["install", "build"])
def test_a_build_that_is_called_off_leaves_its_log_and_nothing_else(site, platform, stage):
    nap = f"613.{os.getpid()}"  # nobody else's
    command = f"echo it began; setsid sleep {nap} & exec sleep {nap}"
    site.client.projects.update_settings(site.project_id, runtime="static", **{f"{stage}_command": command})
    deployment_id = site.begin({"index.html": ""})
    eventually(lambda: "it began" in site.log(deployment_id).split("\n"))

    def sleepers():
        running = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.cmdline() == ["sleep", nap]:
                    running.append(process)
        return running

    eventually(lambda: len(sleepers()) == 2)
    site.client.deployments.cancel(site.project_id, deployment_id)
    eventually(lambda: not sleepers())
    eventually(lambda: not (Path(platform.state_dir) / "sources" / deployment_id).exists())
    cancelled = site.client.deployments.get(site.project_id, deployment_id)
    assert (cancelled.status, cancelled.cancel_reason) == ("cancelled", "cancelled by its owner")
    assert "it began" in site.log(deployment_id).split("\n")
