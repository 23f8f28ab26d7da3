"""Races between what ends and what is ended: whoever has a process id by now is left alone (SAFETY C07)."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from createos_nb.platform.children import Child, end_owned, environment
from tests.platform.test_processes import ON_PORT, OURS, alive, artefact, logs, start, supervisor

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are found through /proc"),
]
__all__ = ["artefact", "logs", "supervisor"]  # Fixtures of test_processes.

OWNER = f"test-races-{os.getpid()}"
STARTS = 5_000 if os.environ.get("CREATEOS_NB_SOAK") else 60
LAST_PID = Path("/proc/sys/kernel/ns_last_pid")
NAP = (sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)")


def child_of(command, tmp_path):
    return Child.start(command, directory=tmp_path, variables=environment(), owner=OWNER, on_lines=lambda _: None)


@pytest.fixture
def neighbours():
    """Processes that nobody may end: one in this process's own group, one in a session of its own."""
    napping = [subprocess.Popen(NAP), subprocess.Popen(NAP, start_new_session=True)]
    yield napping
    unharmed = [process.poll() is None for process in napping]
    for process in napping:
        process.kill()
        process.wait()
    assert all(unharmed)


def taking(pid, require):
    """Start somebody else's process, with this process id if it can be had."""
    for _ in range(50):
        try:
            LAST_PID.write_text(str(pid - 1))
        except OSError:
            require("process-ids", "the next process id cannot be chosen on this machine")
        stranger = subprocess.Popen(NAP, start_new_session=True)
        if stranger.pid == pid or psutil.pid_exists(pid):
            return stranger
        stranger.kill()
        stranger.wait()
    raise AssertionError(f"nobody got the process id {pid}")


async def test_whoever_has_the_process_id_of_one_that_ended_is_left_alone(tmp_path, require):
    for _ in range(10):
        child = await child_of(("true",), tmp_path)
        await child.wait()
        for _finished in (False, True):
            stranger = taking(child.pid, require)
            try:
                await child.end(grace_s=0)
                assert child.family() == []
                assert stranger.poll() is None
            finally:
                stranger.kill()
                stranger.wait()
        # Once all of it is over its process id is free for anybody: then also for what another test starts.
        if stranger.pid == child.pid:
            return
    pytest.fail("No stranger got the process id of one that had ended.")


async def test_what_its_session_still_holds_ends_with_a_program_that_has_ended(tmp_path):
    # Without a marker, and without a parent that would tell whose it is.
    orphan = f"env -i {sys.executable} -I -S -c 'import time; time.sleep(600)' & echo $! > pid"
    child = await child_of(("/bin/sh", "-c", orphan), tmp_path)
    await child.wait()
    pid = int((tmp_path / "pid").read_text())
    assert [process.pid for process in child.family()] == [pid]
    await child.end(grace_s=0)
    assert not alive(pid)


@pytest.mark.timeout(3600)
async def test_ending_what_has_just_begun_ends_nobody_else(tmp_path, neighbours, figures):
    """A process that has no session of its own yet is in ours; it must not be taken for its leader."""
    chance, began = random.Random(7), time.monotonic()
    left = 0
    for number in range(STARTS):
        fork = "sleep 600 & " * (number % 3)
        child = await child_of(("/bin/sh", "-c", f"{fork} exec sleep 600"), tmp_path)
        if number % 2:
            await asyncio.sleep(chance.uniform(0, 0.05))
        await child.end(grace_s=0)
        left += len(child.family())
    assert left + end_owned(OWNER) == 0
    assert all(process.poll() is None for process in neighbours)
    with figures():
        print(f"\nC07: {STARTS:,} starts ended at once in {time.monotonic() - began:.0f} s, others ended 0, left 0")


async def test_a_start_that_is_cancelled_at_any_moment_leaves_nothing(supervisor, artefact, neighbours, figures):
    made, chance = artefact(ON_PORT), random.Random(11)
    starts = max(STARTS // 10, 12)
    for _ in range(starts):
        starting = asyncio.create_task(start(supervisor, made))
        await asyncio.sleep(chance.uniform(0, 0.3))
        starting.cancel()
        # One that was quicker has started.
        for process in [
            each for each in await asyncio.gather(starting, return_exceptions=True) if hasattr(each, "pid")
        ]:
            await supervisor.stop(process, grace_s=0)
    assert supervisor.processes == ()
    assert end_owned(OURS) == 0
    assert not [place for base in supervisor.cgroups.bases for place in base.glob("*/")]
    assert all(process.poll() is None for process in neighbours)
    with figures():
        print(f"\nC07: {starts} starts cancelled within 0.3 s, left 0")
