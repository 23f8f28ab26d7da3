"""Launcher: the first instructions of every child process, run by a bare interpreter that then becomes it.

``python -I -S launcher.py PARENT_PID ENTRANCES COMMAND ...`` closes its files to other users, limits how many it
may have open, has no image of its memory written when it crashes, and enters its control groups before it
replaces itself with the command. It is not tied to its parent by a death signal, which comes when the thread that
started it ends, and not to its children: `keeper` ends them all. A ``preexec_fn`` would do the same between fork
and exec, where a process with threads may deadlock.
"""

from __future__ import annotations

import os
import resource
import sys

MAX_FILES = 8_192
"""How many files and connections a process may have open, so that one that opens them without end harms itself."""


def main() -> None:
    """Prepare this process and replace it with the command on its command line."""
    parent, entrances, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    os.umask(0o077)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = MAX_FILES if most == resource.RLIM_INFINITY else min(MAX_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, allowed))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
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
