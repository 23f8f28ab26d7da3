"""Builds: from the files of an upload to something that runs, on the runtimes of this machine."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from createos_nb.platform.cgroups import Cgroups
from createos_nb.platform.entry_names import OWN_DIRECTORY
from createos_nb.platform.frameworks import FRAMEWORKS, framework_of
from createos_nb.platform.runtimes import RECIPES, detected
from createos_nb.platform.workshop import BuildFailed, BuildSettings, Log, Workshop, inside

DEFAULT_PORT = 8080
"""The port an application is expected on when its settings name none; it always is given ``PORT``."""
TIME_LIMIT_S = 900
"""A build ends after 15 minutes, as on CreateOS."""

_NO_CONTAINERS = "not available on this platform: it builds no container images. Set hasDockerfile to false."


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
    source: Path,
    settings: BuildSettings,
    log: Log,
    *,
    owner: str = "",
    timeout_s: float = TIME_LIMIT_S,
    cgroups: Cgroups | None = None,
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
    cgroups
        What keeps together what a command starts, however it hides; None for nothing.

    Raises
    ------
    BuildFailed
        A command failed, ran too long, or the runtime is not on this machine.
    """
    directory = inside(source, settings.directory_path, "directoryPath")
    shutil.rmtree(source / OWN_DIRECTORY, ignore_errors=True)  # What a build that was cut off left.
    workshop = Workshop(source / OWN_DIRECTORY, directory, settings, log, owner, cgroups)
    try:
        async with asyncio.timeout(timeout_s):
            return await _built(workshop)
    except TimeoutError:
        raise BuildFailed(
            f"The build was ended because it took longer than {timeout_s / 60:g} minutes. "
            "See the last lines of its log."
        ) from None


async def _built(workshop: Workshop) -> Artefact:
    settings = workshop.settings
    if settings.has_dockerfile:
        raise BuildFailed(_NO_CONTAINERS)
    framework = settings.framework or None
    if framework is not None and framework not in FRAMEWORKS:
        raise BuildFailed(
            f"The framework {framework!a} is not on this platform. Use one of {', '.join(FRAMEWORKS)}."
        )
    if settings.runtime:
        runtime = settings.runtime.strip().lower()
        framework = framework or framework_of(workshop, runtime.partition(":")[0])
    elif framework is not None:
        runtime = FRAMEWORKS[framework].runtime
    else:
        runtime, framework = detected(workshop)
    kind, _, version = runtime.partition(":")
    if kind not in RECIPES:
        raise BuildFailed(f"The runtime {runtime!a} is not on this platform. Use one of {', '.join(RECIPES)}.")
    command = await RECIPES[kind](workshop, version, FRAMEWORKS[framework] if framework else None)
    return Artefact(workshop.directory, command, workshop.environment, settings.port or DEFAULT_PORT)
