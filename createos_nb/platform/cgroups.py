"""Cgroups: which of an application's limits the kernel keeps on this machine, and the groups that keep them.

Version 2 where its controllers are ours to use, else version 1 where its hierarchies can be written to.
Where neither is so, memory is watched by the platform itself (`processes`), and cpu is not limited.
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
CONTROLLERS = ("memory", "cpu", "pids")
MAX_PROCESSES = 512
"""How many processes and threads an application may have, so that one that forks without end ends itself alone."""

_KILL_ROUNDS = 10
_PERIOD_US = 100_000
_NO_LIMIT = {"memory.max": "max", "cpu.max": "max", "memory.limit_in_bytes": "-1", "cpu.cfs_quota_us": "-1"}


@dataclass(frozen=True)
class Group:
    """The group of one running application.

    Attributes
    ----------
    directories
        The group's directory by controller; equal ones under version 2.
    """

    directories: dict[str, Path]

    @property
    def entrances(self) -> tuple[Path, ...]:
        """Files into which a process writes 0 to enter, with all that it will start."""
        return tuple(directory / "cgroup.procs" for directory in dict.fromkeys(self.directories.values()))

    def limit(self, *, memory_mb: int | None, cpu_millicores: int | None, tasks: int = MAX_PROCESSES) -> None:
        """Set the limits; None for none.

        Parameters
        ----------
        memory_mb
            MiB of memory, from which on the kernel ends it.
        cpu_millicores
            Thousandths of a core.
        tasks
            Processes and threads.
        """
        size = None if memory_mb is None else memory_mb * 2**20
        self._write("memory", {"memory.max": size}, {"memory.limit_in_bytes": size})
        self._write("memory", {"memory.oom.group": 1}, {})
        self._write("pids", {"pids.max": tasks}, {"pids.max": tasks})
        quota = None if cpu_millicores is None else cpu_millicores * _PERIOD_US // 1000
        self._write(
            "cpu",
            {"cpu.max": None if quota is None else f"{quota} {_PERIOD_US}"},
            {"cpu.cfs_period_us": _PERIOD_US, "cpu.cfs_quota_us": quota},
        )

    def _is_v2(self, controller: str) -> bool:
        directory = self.directories.get(controller)
        return directory is not None and (directory / "cgroup.controllers").exists()

    def _write(self, controller: str, v2: dict[str, object], v1: dict[str, object]) -> None:
        if (directory := self.directories.get(controller)) is not None:
            for name, value in (v2 if self._is_v2(controller) else v1).items():
                # Less memory than is used now cannot be set under version 1; the old limit holds then.
                with suppress(OSError):
                    (directory / name).write_text(_NO_LIMIT[name] if value is None else str(value))

    @property
    def oom_kills(self) -> int:
        """How many of its processes the kernel has ended because the memory ran out."""
        return self._count("memory", "memory.events" if self._is_v2("memory") else "memory.oom_control", "oom_kill")

    @property
    def refused_tasks(self) -> int:
        """How many processes and threads the kernel has refused to start."""
        return self._count("pids", "pids.events", "max")

    def _count(self, controller: str, file: str, counted: str) -> int:
        directory = self.directories.get(controller)
        if directory is not None:
            with suppress(OSError):
                for line in (directory / file).read_text().splitlines():
                    key, _, count = line.partition(" ")
                    if key == counted:
                        return int(count)
        return 0

    def remove(self) -> None:
        """Remove it, with what is left in it: a daemon may have cleared the environment that tells whose it is."""
        for directory in dict.fromkeys(self.directories.values()):
            _remove(directory)


class Cgroups:
    """Makes the groups of one platform's applications.

    Parameters
    ----------
    owner
        The platform's id; its groups lie below a group of this name.
    root, membership
        Where the kernel shows the hierarchies, and which groups this process is in.

    Attributes
    ----------
    enforced
        The controllers that can be used: of ``"memory"``, ``"cpu"`` and ``"pids"``.
    """

    def __init__(self, owner: str, *, root: Path = ROOT, membership: Path = MEMBERSHIP) -> None:
        self._name = f"createos-nb-{owner}"
        self._bases: dict[str, Path] = {}
        for controller in CONTROLLERS:
            for place in _places(controller, root, membership):
                if _usable(place / self._name, controller):
                    self._bases[controller] = place / self._name
                    break
        self.enforced = frozenset(self._bases)

    @property
    def bases(self) -> tuple[Path, ...]:
        """The directories that the groups are made in."""
        return tuple(dict.fromkeys(self._bases.values()))

    @property
    def limits(self) -> tuple[str, str]:
        """How memory and cpu are limited on this machine."""
        memory = "by the kernel (cgroup)" if "memory" in self.enforced else "by a watchdog that looks every second"
        cpu = "by the kernel (cgroup)" if "cpu" in self.enforced else "not enforced: there is no cgroup to write to"
        return memory, cpu

    @property
    def sentence(self) -> str:
        """How the limits of resources are kept on this machine."""
        memory, cpu = self.limits
        return f"Limits of memory are kept {memory}; of cpu {cpu if cpu.startswith('not') else f'kept {cpu}'}."

    def group(self) -> Group | None:
        """Make a group; None where no controller can be used."""
        made, name = {}, secrets.token_hex(8)
        for controller, base in self._bases.items():
            with suppress(OSError):
                (base / name).mkdir(parents=True, exist_ok=True)
                made[controller] = base / name
        return Group(made) if made else None

    def sweep(self) -> None:
        """Remove the groups that an earlier platform left, with what is in them, and the platform's own."""
        for base in self.bases:
            for directory in (*base.glob("*/"), base):
                _remove(directory)


def _remove(directory: Path) -> None:
    """Remove a group once what is in it has been killed; one whose processes do not end stays."""
    procs = directory / "cgroup.procs"
    for _ in range(_KILL_ROUNDS):
        left = [int(pid) for pid in _words(procs)]
        if not left:
            break
        for pid in left:
            with suppress(OSError):
                held = os.pidfd_open(pid)
                try:
                    # Looked up again, since the process id may be in other hands by now.
                    if str(pid) in _words(procs):
                        signal.pidfd_send_signal(held, signal.SIGKILL)
                finally:
                    os.close(held)
        time.sleep(0.01)
    with suppress(OSError):
        directory.rmdir()


def _places(controller: str, root: Path, membership: Path) -> list[Path]:
    """Return the directories below which this process might make groups, best first."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        number, names, path = line.split(":", 2)
        if number == "0" and not names:
            found += [root / path.lstrip("/"), root]
        elif controller in names.split(","):
            # In a container the path may be one that only the host knows.
            found += [root / controller / path.lstrip("/"), root / controller]
    return found


def _usable(directory: Path, controller: str) -> bool:
    """Whether a group can be made there that has the controller's files, and whose processes can be told."""
    try:
        directory.mkdir(exist_ok=True)
    except OSError:
        return False
    parents = (directory.parent, directory)
    if (directory / "cgroup.controllers").exists():
        for parent in parents:
            with suppress(OSError):
                (parent / "cgroup.subtree_control").write_text(f"+{controller}")
        has = controller in _words(directory / "cgroup.subtree_control")
    else:
        limit = {"memory": "memory.limit_in_bytes", "cpu": "cpu.cfs_quota_us"}.get(controller, "cgroup.procs")
        has = os.access(directory / limit, os.W_OK) and os.access(directory / "cgroup.procs", os.W_OK)
    if not has:
        with suppress(OSError):
            directory.rmdir()
    return has


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []
