"""Launcher: the first instructions of every child process, run by a bare interpreter that then becomes it.

``python -I -S launcher.py PARENT_PID ENTRANCES COMMAND ...`` closes its files to other users and enters its control
groups before it replaces itself with the command. It is not tied to its parent by a death signal, which comes
when the thread that started it ends, and not to its children: `keeper` ends them all. A ``preexec_fn``
would do the same between fork and exec, where a process with threads may deadlock.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Prepare this process and replace it with the command on its command line."""
    parent, entrances, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    os.umask(0o077)
    for entrance in filter(None, entrances.split(os.pathsep)):
        with open(entrance, "w") as procs:
            procs.write("0")
    if os.getppid() != parent:  # It died before this process carried its marker for all to see.
        sys.exit(1)
    try:
        os.execvpe(command[0], command, os.environ)
    except OSError as error:
        sys.exit(f"Cannot run {command[0]}: {error.strerror}.")


if __name__ == "__main__":
    main()
