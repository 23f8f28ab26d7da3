"""Workshop: the commands of one build, run in the upload's directory, with its own variables."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from createos_nb.platform.cgroups import Cgroups
from createos_nb.platform.children import Child, Variables, environment

Log = Callable[[str, str], None]
"""Called with the stage (``prepare``, ``install``, ``build``) and one line."""

MAX_TASKS = 4_096
"""How many processes and threads a command may have, where a control group can count them."""

_SHELL = "/bin/sh"
_NOT_FOUND = 127
_VERSION = re.compile(r"\d+(?:\.\d+)+")


class BuildFailed(Exception):
    """A build ended without something that can run.

    Attributes
    ----------
    reason
        One sentence that says what happened and what to do.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class BuildSettings:
    """How a project is built and run; what is empty is detected from the files.

    Attributes
    ----------
    framework
        Such as ``"fastapi"`` or ``"reactjs-spa"``; says how what is empty is filled in.
    runtime
        Such as ``"python:3.12"``, ``"node:20"`` or ``"static"``.
    port
        The port the application says it listens on.
    install_command, build_command, run_command
        Shell commands, run in the application's directory.
    build_flag, run_flag
        Appended to the build and the run command.
    build_dir
        Where the build puts a static site, relative to the application's directory.
    directory_path
        The application's directory within the upload.
    has_dockerfile
        Whether it is to be built with the upload's own Dockerfile.
    build_vars
        Variables of the install and build commands; the application does not get them.
    """

    framework: str | None = None
    runtime: str | None = None
    port: int | None = None
    install_command: str | None = None
    build_command: str | None = None
    run_command: str | None = None
    build_flag: str | None = None
    run_flag: str | None = None
    build_dir: str | None = None
    directory_path: str | None = None
    has_dockerfile: bool = False
    build_vars: Variables = field(default_factory=dict, repr=False)


class Workshop:
    """Where one upload is built.

    Parameters
    ----------
    own
        The platform's own directory within the upload.
    directory
        The application's directory.
    settings
        The project's settings.
    log
        Called with stage and line, for each line.
    owner
        The platform's id, so that commands it left behind are swept at its next start.
    cgroups
        What keeps together what a command starts, however it hides; None for nothing.

    Attributes
    ----------
    environment
        Variables that the runtime's recipe adds, for the commands that follow and for the application.
    """

    def __init__(
        self,
        own: Path,
        directory: Path,
        settings: BuildSettings,
        log: Log,
        owner: str,
        cgroups: Cgroups | None = None,
    ) -> None:
        self.own = own
        self.directory = directory
        self.settings = settings
        self.log = log
        self.environment: dict[str, str] = {}
        self._owner = owner
        self._cgroups = cgroups

    def has(self, name: str) -> bool:
        """Whether the upload has a file of this name."""
        return (self.directory / name).is_file()

    def first_of(self, names: tuple[str, ...]) -> str | None:
        """Return the first of these files that the upload has."""
        return next((name for name in names if self.has(name)), None)

    def text(self, name: str) -> str:
        """Return what one of the upload's files says, empty when there is no such file."""
        return (self.directory / name).read_text(encoding="utf-8", errors="replace") if self.has(name) else ""

    def inside(self, relative: str | None, setting: str) -> Path:
        """Return a directory within the application's, named by one of its settings."""
        return inside(self.directory, relative, setting)

    async def running_version(self, wanted: str, program: str, *ask: str) -> None:
        """Log which version really runs, since the one that was asked for may not be on this machine."""
        if shutil.which(program, path=self._path()) is None:
            raise BuildFailed(f"There is no {program} on this machine. Install it, or choose another runtime.")
        printed: list[str] = []
        await self.execute("prepare", program, *(ask or ("--version",)), on_lines=printed.extend)
        found = _VERSION.search(" ".join(printed))
        running = found[0] if found else "of unknown version"
        same = not wanted or f"{running}.".startswith(f"{wanted}.")
        note = "" if same else f" (this machine has no {program} {wanted}; install it to change that)"
        self.log("prepare", f"It runs on {program} {running}{note}.")

    def parsed(self, name: str, parse: Callable[[str], Any]) -> dict[str, Any]:
        """Return what one of the upload's files says, nothing when there is no such file."""
        file = self.directory / name
        if not file.is_file():
            return {}
        try:
            value = parse(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise BuildFailed(f"{name} cannot be read: {error}. Correct it and upload again.") from None
        if not isinstance(value, dict):
            raise BuildFailed(f"{name} holds no table of settings. Correct it and upload again.")
        return value

    def start(self, detected: tuple[str | None, ...], *, example: str) -> tuple[str, ...]:
        """Return the run command: that of the settings, else what a recipe found, None being what it did not."""
        if self.settings.run_command:
            return _in_shell(self.settings.run_command, self.settings.run_flag)
        command = tuple(part for part in detected if part is not None)
        if len(command) < len(detected):
            raise BuildFailed(f"There is no run command and nothing usual to start. Set runCommand: {example!a}.")
        shown = command[-1] if command[0] == _SHELL else shlex.join(command)
        self.log("prepare", f"It is started with: {shown}")
        return command

    async def shell(self, stage: str, command: str, flag: str | None = None) -> None:
        """Run a shell command, with a flag appended if there is one."""
        await self.execute(stage, *_in_shell(command, flag))

    async def execute(self, stage: str, *command: str, on_lines: Callable[[list[str]], None] | None = None) -> None:
        """Run a command to its end; whatever it started ends with it, also when the build is cancelled."""
        shown = command[-1] if command[0] == _SHELL else shlex.join(command)
        self.log(stage, f"$ {shown}")
        group = self._cgroups.group() if self._cgroups is not None else None
        try:
            if group is not None:
                group.limit(memory_mb=None, cpu_millicores=None, tasks=MAX_TASKS)
            child = await Child.start(
                command,
                directory=self.directory,
                variables=environment(self._additions(), self.settings.build_vars, building=True),
                owner=self._owner,
                on_lines=on_lines or partial(self._log_lines, stage),
                entrances=group.entrances if group is not None else (),
            )
            try:
                returncode = await child.wait()
                await child.drain()
            finally:
                await child.end(grace_s=0)
        finally:
            if group is not None:
                group.remove()
        if returncode != 0:
            missing = returncode == _NOT_FOUND and command[0] == _SHELL
            hint = " A program that it calls is not on this machine: install it." if missing else ""
            raise BuildFailed(f"The {stage} command ended with exit code {returncode}: {shown}. See its log.{hint}")

    def _log_lines(self, stage: str, lines: list[str]) -> None:
        for line in lines:
            self.log(stage, line)

    def _additions(self) -> dict[str, str]:
        additions = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PYTHONUNBUFFERED": "1", "CI": "1"}
        # npm itself reads the one beside package.json; one for the whole upload may be above it.
        settings = {"pip.conf": "PIP_CONFIG_FILE", ".npmrc": "NPM_CONFIG_USERCONFIG"}
        for name, variable in settings.items():
            places = (self.directory / name, self.own.parent / name)
            if found := next((str(path) for path in places if path.is_file()), None):
                additions[variable] = found
        return additions | self.environment

    def _path(self) -> str | None:
        return self.environment.get("PATH", os.environ.get("PATH"))


def _in_shell(command: str, flag: str | None) -> tuple[str, ...]:
    return (_SHELL, "-c", f"{command} {flag}" if flag else command)


def inside(directory: Path, relative: str | None, setting: str) -> Path:
    """Return a directory below another, however the path to it is written."""
    chosen = (directory / (relative or ".").lstrip("/")).resolve()
    if not chosen.is_relative_to(directory.resolve()):
        raise BuildFailed(f"The setting {setting} leads out of the upload: {relative!a}. Use a path within it.")
    if not chosen.is_dir():
        raise BuildFailed(f"The setting {setting} names no directory of the upload: {relative!a}. Correct it.")
    return chosen
