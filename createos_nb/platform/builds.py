"""Builds: from the files of an upload to something that runs, on the runtimes of this machine."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from createos_nb.platform.children import Child, Variables, environment

DEFAULT_PORT = 8080
"""The port an application is expected on when its settings name none; it always is given ``PORT``."""
TIME_LIMIT_S = 900
"""A build ends after 15 minutes, as on CreateOS."""

Log = Callable[[str, str], None]
"""Called with the stage (``prepare``, ``install``, ``build``) and one line."""

_SHELL = "/bin/sh"
_OWN_DIRECTORY = ".createos"
_STATIC_SITE = Path(__file__).parent / "applications" / "static_site.py"
_PYTHON_STARTS = ("main.py", "app.py", "server.py")
_NODE_STARTS = ("server.js", "index.js", "app.js", "main.js")


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
    build_vars
        Variables of the install and build commands; the application does not get them.
    """

    runtime: str | None = None
    port: int | None = None
    install_command: str | None = None
    build_command: str | None = None
    run_command: str | None = None
    build_flag: str | None = None
    run_flag: str | None = None
    build_dir: str | None = None
    directory_path: str | None = None
    build_vars: Variables = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Artefact:
    """Something that can run, now or after a restart of the platform.

    Attributes
    ----------
    directory
        Working directory.
    command
        Program and arguments.
    environment
        Variables it needs beside those of its environment.
    port
        The port it says it listens on.
    """

    directory: Path
    command: tuple[str, ...]
    environment: Mapping[str, str]
    port: int

    def to_json(self) -> str:
        """Return it as a JSON text."""
        return json.dumps(
            {
                "directory": str(self.directory),
                "command": self.command,
                "environment": dict(self.environment),
                "port": self.port,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Artefact:
        """Return what `to_json` described."""
        value = json.loads(text)
        return cls(Path(value["directory"]), tuple(value["command"]), value["environment"], value["port"])


async def build(
    source: Path, settings: BuildSettings, log: Log, *, owner: str = "", timeout_s: float = TIME_LIMIT_S
) -> Artefact:
    """Build an upload: install what it needs, run its build command, find out how to start it.

    Parameters
    ----------
    source
        The unpacked upload; the platform's own additions go to its ``.createos``.
    settings
        The project's settings.
    log
        Called with stage and line, for each line.
    owner
        The platform's id, so that commands it left behind are swept at its next start.
    timeout_s
        Seconds after which everything the build started is ended.

    Raises
    ------
    BuildFailed
        A command failed, ran too long, or the runtime is not on this machine.
    """
    directory = _inside(source, settings.directory_path, "directoryPath")
    shutil.rmtree(source / _OWN_DIRECTORY, ignore_errors=True)
    work = _Build(source / _OWN_DIRECTORY, directory, settings, log, owner)
    try:
        async with asyncio.timeout(timeout_s):
            return await work.run()
    except TimeoutError:
        raise BuildFailed(
            f"The build was ended because it took longer than {timeout_s / 60:g} minutes. "
            "See the last lines of its log."
        ) from None


class _Build:
    """One run of `build`."""

    def __init__(self, own: Path, directory: Path, settings: BuildSettings, log: Log, owner: str) -> None:
        self._own = own
        self._directory = directory
        self._settings = settings
        self._log = log
        self._owner = owner
        self._environment: dict[str, str] = {}

    async def run(self) -> Artefact:
        runtime = self._settings.runtime or self._detected_runtime()
        kind, _, version = runtime.strip().lower().partition(":")
        recipes = {"python": self._python, "node": self._node, "static": self._static}
        if kind not in recipes:
            raise BuildFailed(
                f"The runtime {runtime!a} is not on this platform. Use python:3.x, node:* or static as runtime."
            )
        command = await recipes[kind](version)
        return Artefact(self._directory, command, self._environment, self._settings.port or DEFAULT_PORT)

    def _detected_runtime(self) -> str:
        signs = {"package.json": "node", "requirements.txt": "python", "pyproject.toml": "python"}
        signs |= dict.fromkeys(_PYTHON_STARTS, "python") | {"index.html": "static"}
        found = _first_of(self._directory, tuple(signs))
        if found is None:
            raise BuildFailed(
                "Neither the settings nor the files name a runtime. Set runtime, such as python:3.12."
            )
        self._log("prepare", f"Runtime {signs[found]}, because there is {found}.")
        return signs[found]

    # --- runtimes -----------------------------------------------------------------------------------------

    async def _python(self, version: str) -> tuple[str, ...]:
        interpreter = await _interpreter(version)
        install = self._settings.install_command or self._python_requirements()
        venv = self._own / "venv"
        # Without packages to install, pip is most of a build's time.
        pip = () if install else ("--without-pip",)
        await self._execute("prepare", interpreter, "-m", "venv", *pip, str(venv))
        self._environment = {
            "VIRTUAL_ENV": str(venv),
            "PATH": os.pathsep.join((str(venv / "bin"), os.environ.get("PATH", os.defpath))),
        }
        await self._running_version(version, "python")
        if install:
            await self._shell("install", install)
        if self._settings.build_command:
            await self._shell("build", self._settings.build_command, self._settings.build_flag)
        return self._start(("python", _first_of(self._directory, _PYTHON_STARTS)), "python main.py")

    def _python_requirements(self) -> str | None:
        """Return the command that installs what the files ask for, None when they ask for nothing."""
        requirements = self._directory / "requirements.txt"
        if requirements.is_file():
            lines = requirements.read_text(encoding="utf-8", errors="replace").splitlines()
            asked = any(line.strip() and not line.lstrip().startswith("#") for line in lines)
            return "python -m pip install -r requirements.txt" if asked else None
        asked = bool({"project", "build-system"} & self._parsed("pyproject.toml", tomllib.loads).keys())
        return "python -m pip install ." if asked else None

    async def _node(self, version: str) -> tuple[str, ...]:
        await self._running_version(version, "node")
        package = await self._node_package()
        if "start" in (package.get("scripts") or ()):
            return self._start(("npm", "run", "--silent", "start"), "npm start")
        main = package.get("main")
        script = main if isinstance(main, str) else _first_of(self._directory, _NODE_STARTS)
        return self._start(("node", script), "node server.js")

    async def _node_package(self) -> dict[str, Any]:
        """Install and build what ``package.json`` describes, and return it."""
        package = self._parsed("package.json", json.loads)
        locked = (self._directory / "package-lock.json").is_file()
        needed = package.get("dependencies") or package.get("devDependencies")
        install = self._settings.install_command or (("npm ci" if locked else "npm install") if needed else None)
        if install:
            await self._shell("install", install)
        has_build = "build" in (package.get("scripts") or ())
        build = self._settings.build_command or ("npm run build" if has_build else None)
        if build:
            await self._shell("build", build, self._settings.build_flag)
        return package

    async def _static(self, _version: str) -> tuple[str, ...]:
        await self._node_package()
        site = _inside(self._directory, self._settings.build_dir, "buildDir")
        return (sys.executable, "-I", str(_STATIC_SITE), str(site))

    async def _running_version(self, wanted: str, program: str) -> None:
        """Log which version really runs, since the one that was asked for may not be on this machine."""
        if shutil.which(program, path=self._path()) is None:
            raise BuildFailed(f"There is no {program} on this machine. Install it, or choose another runtime.")
        printed: list[str] = []
        await self._execute("prepare", program, "--version", on_lines=printed.extend)
        running = "".join(printed).lower().removeprefix("python").strip().lstrip("v")
        same = not wanted or f"{running}.".startswith(f"{wanted}.")
        note = "" if same else f" (this machine has no {program} {wanted}; install it to change that)"
        self._log("prepare", f"It runs on {program} {running}{note}.")

    def _parsed(self, name: str, parse: Callable[[str], Any]) -> dict[str, Any]:
        """Return what one of the upload's files says, nothing when there is no such file."""
        file = self._directory / name
        if not file.is_file():
            return {}
        try:
            value = parse(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise BuildFailed(f"{name} cannot be read: {error}. Correct it and upload again.") from None
        if not isinstance(value, dict):
            raise BuildFailed(f"{name} holds no table of settings. Correct it and upload again.")
        return value

    def _start(self, detected: tuple[str | None, ...], example: str) -> tuple[str, ...]:
        if self._settings.run_command:
            return _in_shell(self._settings.run_command, self._settings.run_flag)
        command = tuple(part for part in detected if part is not None)
        if len(command) < len(detected):
            raise BuildFailed(f"There is no run command and nothing usual to start. Set runCommand: {example!a}.")
        self._log("prepare", f"It is started with: {shlex.join(command)}")
        return command

    # --- commands -----------------------------------------------------------------------------------------

    async def _shell(self, stage: str, command: str, flag: str | None = None) -> None:
        await self._execute(stage, *_in_shell(command, flag))

    async def _execute(
        self, stage: str, *command: str, on_lines: Callable[[list[str]], None] | None = None
    ) -> None:
        """Run a command to its end; whatever it started ends with it, also when the build is cancelled."""
        shown = command[-1] if command[0] == _SHELL else shlex.join(command)
        self._log(stage, f"$ {shown}")
        child = await Child.start(
            command,
            directory=self._directory,
            variables=environment(self._additions(), self._settings.build_vars, building=True),
            owner=self._owner,
            on_lines=on_lines or partial(self._log_lines, stage),
        )
        try:
            returncode = await child.wait()
            await child.drain()
        finally:
            await child.end(grace_s=0)
        if returncode != 0:
            raise BuildFailed(f"The {stage} command ended with exit code {returncode}: {shown}. See its log.")

    def _log_lines(self, stage: str, lines: list[str]) -> None:
        for line in lines:
            self._log(stage, line)

    def _additions(self) -> dict[str, str]:
        additions = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PYTHONUNBUFFERED": "1", "CI": "1"}
        if (self._directory / "pip.conf").is_file():
            additions["PIP_CONFIG_FILE"] = str(self._directory / "pip.conf")
        return additions | self._environment

    def _path(self) -> str | None:
        return self._environment.get("PATH", os.environ.get("PATH"))


async def _interpreter(version: str) -> str:
    """Return an interpreter of this version if this machine has one that runs, else this process's own.

    Version managers put a program on PATH for every version there could be, which fails when it is not.
    """
    found = shutil.which(f"python{version}") if version else None
    if found is not None:
        quiet = asyncio.subprocess.DEVNULL
        trial = await asyncio.create_subprocess_exec(found, "--version", stdin=quiet, stdout=quiet, stderr=quiet)
        if await trial.wait() == 0:
            return found
    return sys.executable


def _in_shell(command: str, flag: str | None) -> tuple[str, ...]:
    return (_SHELL, "-c", f"{command} {flag}" if flag else command)


def _first_of(directory: Path, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if (directory / name).is_file()), None)


def _inside(directory: Path, relative: str | None, setting: str) -> Path:
    """Return a directory below another, however the path to it is written."""
    chosen = (directory / (relative or ".").lstrip("/")).resolve()
    if not chosen.is_relative_to(directory.resolve()):
        raise BuildFailed(f"The setting {setting} leads out of the upload: {relative!a}. Use a path within it.")
    if not chosen.is_dir():
        raise BuildFailed(f"The setting {setting} names no directory of the upload: {relative!a}. Correct it.")
    return chosen
