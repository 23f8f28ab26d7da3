"""Forks: platforms that begin in a moment, since what they import was imported before; to be killed often.

Each is what ``python -m createos_nb.platform`` is: a process of its own, with the same lock, ports and files. Only
its interpreter was not started for it: a server process that has imported everything forks it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

from createos_nb.platform import __main__ as program
from createos_nb.platform.service import Address

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["createos_nb.platform.__main__", "createos_nb.platform.accesslog", __name__])


def _run(state: str) -> None:
    log = os.open(f"{state}/platform.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.setsid()
    os.chdir(state)
    sys.argv = ["createos_nb.platform", "--state", state]
    program.main()


class Fork:
    """A platform that runs on a state until it is killed or stopped.

    Parameters
    ----------
    state
        Its directory.
    within_s
        Seconds until it must answer.
    """

    def __init__(self, state: Path, *, within_s: float = 30.0) -> None:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.state = state
        self._process = _FORKS.Process(target=_run, args=(str(state),), daemon=True)
        self._process.start()
        until = time.monotonic() + within_s
        while (address := self._address()) is None:
            if not self._process.is_alive() or time.monotonic() > until:
                raise AssertionError(f"It did not start: {self.log[-2000:]}")
            time.sleep(0.002)
        self.address = address

    def _address(self) -> Address | None:
        try:
            address = Address.from_file(self.state)
        except (OSError, ValueError):
            return None
        return address if address.pid == self._process.pid else None

    @property
    def log(self) -> str:
        """What it and those before it said of themselves."""
        return (self.state / "platform.log").read_text()

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        os.kill(self.address.pid, number)
        self._process.join(20)
        assert not self._process.is_alive(), "it did not end"
        self._process.close()
