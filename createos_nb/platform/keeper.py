"""Keeper: ends what a killed platform leaves behind, at once and not only when the next one starts.

``python -I -S keeper.py RUN < PIPE`` waits for its input to end, as it does when the platform is gone in whatever
way, and then kills every process that carries the run's marker. A run is one life of a platform, so that the
processes of a platform that was started again meanwhile are not touched. Linux only: it reads ``/proc``.
"""

from __future__ import annotations

import os
import signal
import sys
import time

RUN = "CREATEOS_NB_RUN"
"""Environment variable that names the life of a platform that a process was started in."""


def main() -> None:
    """Wait for the platform to end, and end what is left of it."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    mark = f"\0{RUN}={sys.argv[1]}\0".encode()
    while os.read(0, 4096):
        pass
    # Until none is left, since one may fork while the others are being killed.
    for _ in range(500):
        if not sum(_end(int(name), mark) for name in os.listdir("/proc") if name.isdecimal()):
            break
        time.sleep(0.01)


def _end(pid: int, mark: bytes) -> bool:
    """Kill a process that carries the mark; the descriptor is taken first, so that it is no other by then."""
    try:
        held = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        with open(f"/proc/{pid}/environ", "rb") as environ:
            if mark not in b"\0" + environ.read():
                return False
        signal.pidfd_send_signal(held, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(held)
    return True


if __name__ == "__main__":
    main()
