"""Launcher: the first instructions of every child process, run by a bare interpreter that then becomes it.

``python -I -S launcher.py PARENT_PID ENTRANCES COMMAND ...`` ties the process to its parent's life, closes its
files to other users and enters its control groups before it replaces itself with the command. A ``preexec_fn``
would do the same between fork and exec, where a process with threads may deadlock.
"""

from __future__ import annotations

import os
import sys

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


def main() -> None:
    """Prepare this process and replace it with the command on its command line."""
    parent, entrances, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    os.umask(0o077)
    for entrance in filter(None, entrances.split(os.pathsep)):
        with open(entrance, "w") as procs:
            procs.write("0")
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # It died before the line above.
            sys.exit(1)
    try:
        os.execvpe(command[0], command, os.environ)
    except OSError as error:
        sys.exit(f"Cannot run {command[0]}: {error.strerror}.")


if __name__ == "__main__":
    main()
