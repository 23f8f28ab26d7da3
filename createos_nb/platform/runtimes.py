"""Runtimes: how an upload is installed, built and started, on the toolchains of this machine.

What the project's settings leave empty is filled in from its framework, and the framework from the files.
"""

from __future__ import annotations

import asyncio
import math
import os
import shlex
import shutil
import sys
import time
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from createos_nb.platform.frameworks import (
    PYTHON_STARTS,
    WITH_APPLICATION,
    Framework,
    framework_of,
    package_of,
    usual,
)
from createos_nb.platform.workshop import BuildFailed, Workshop

_STATIC_SITE = Path(__file__).parent / "applications" / "static_site.py"
_NODE_STARTS = ("server.js", "index.js", "app.js", "main.js")
_BUN_STARTS = ("index.ts", "server.ts", *_NODE_STARTS)


_TRIED_FOR_S = 60.0
_TRIED: dict[str, tuple[float, str | None]] = {}
"""Programs, when each was tried, and where it is when it runs."""

_OF_A_PACKAGE = frozenset({"dynamic", "scripts", "gui-scripts", "entry-points"})

Recipe = Callable[[Workshop, str, Framework | None], Awaitable[tuple[str, ...]]]
"""Builds an upload with a version of a runtime; returns the command that starts it."""


def detected(shop: Workshop) -> tuple[str, str | None]:
    """Return the runtime and the framework that the files ask for.

    Raises
    ------
    BuildFailed
        They name neither.
    """
    found, sign = _detected(shop)
    if not found:
        raise BuildFailed("Neither the settings nor the files name a runtime. Set runtime, such as python:3.12.")
    framework = framework_of(shop, found)
    with_framework = f", framework {framework}" if framework else ""
    shop.log("prepare", f"Runtime {found}{with_framework}, because there is {sign}.")
    return found, framework


def _detected(shop: Workshop) -> tuple[str, str]:
    if shop.has("package.json"):
        locked = shop.first_of(("bun.lock", "bun.lockb"))
        return ("bun", locked) if locked else ("node", "package.json")
    signs = dict.fromkeys(("requirements.txt", "pyproject.toml", "manage.py", *WITH_APPLICATION), "python")
    signs = {"go.mod": "golang", "Cargo.toml": "rust", **signs, "index.html": "static"}
    sign = shop.first_of(tuple(signs))
    return (signs[sign], sign) if sign else ("", "")


# --- python -----------------------------------------------------------------------------------------------


async def _python(shop: Workshop, version: str, framework: Framework | None) -> tuple[str, ...]:
    interpreter = await _interpreter(version)
    install = shop.settings.install_command or _python_requirements(shop)
    venv = shop.own / "venv"
    # Where nothing can ask for pip, making it is most of a build's time. A command that asked for it and did not
    # find it here would find the user's own, and change what belongs to them.
    asked = install or shop.settings.build_command or "pip" in (shop.settings.run_command or "")
    pip = () if asked else ("--without-pip",)
    await shop.execute("prepare", interpreter, "-m", "venv", *pip, str(venv))
    shop.environment = {
        "VIRTUAL_ENV": str(venv),
        "PATH": os.pathsep.join((str(venv / "bin"), os.environ.get("PATH", os.defpath))),
    }
    await shop.running_version(version, "python")
    if install:
        await shop.shell("install", install)
    if shop.settings.build_command:
        await shop.shell("build", shop.settings.build_command, shop.settings.build_flag)
    return shop.start(usual(shop, framework) or ("python", shop.first_of(PYTHON_STARTS)), example="python main.py")


def _python_requirements(shop: Workshop) -> str | None:
    """Return the command that installs what the files ask for, None when they ask for nothing."""
    if shop.has("requirements.txt"):
        lines = shop.text("requirements.txt").splitlines()
        asked = any(line.strip() and not line.lstrip().startswith("#") for line in lines)
        return "python -m pip install -r requirements.txt" if asked else None
    described = shop.parsed("pyproject.toml", tomllib.loads)
    if not {"project", "build-system"} & described.keys():
        if "poetry" in described.get("tool", {}):
            shop.log(
                "install", "pyproject.toml has no [project] and no [build-system]: nothing is installed from it."
            )
        return None
    # An application that is no package: setuptools refuses to guess which of its directories would be one.
    needed = _needed_alone(described) if not (shop.directory / "src").is_dir() else None
    if needed is None:
        return "python -m pip install ."
    return shlex.join(("python", "-m", "pip", "install", *needed)) if needed else None


def _needed_alone(described: dict[str, Any]) -> list[str] | None:
    """Return what a project needs, None when it is a package itself or says it in a way that pip is to read."""
    project = described.get("project")
    if "build-system" in described or not isinstance(project, dict) or project.keys() & _OF_A_PACKAGE:
        return None
    needed = project.get("dependencies", [])
    return needed if isinstance(needed, list) and all(isinstance(each, str) for each in needed) else None


async def _interpreter(version: str) -> str:
    """Return an interpreter of this version if this machine has one that runs, else this process's own.

    Version managers put a program on PATH for every version there could be, which fails when it is not.
    """
    return (await _running(f"python{version}") if version else None) or sys.executable


async def runs(program: str) -> bool:
    """Return whether a program is on PATH and runs; what was found out holds for a minute."""
    tried_at, running = _TRIED.get(program, (-math.inf, None))
    if time.monotonic() - tried_at > _TRIED_FOR_S:
        running = await _running(program)
        _TRIED[program] = time.monotonic(), running
    return running is not None


async def _running(program: str) -> str | None:
    """Return where a program is, None when it is not on PATH or is one that only fails."""
    found = shutil.which(program)
    if found is None:
        return None
    quiet = asyncio.subprocess.DEVNULL
    asked = "version" if program == "go" else "--version"
    trial = await asyncio.create_subprocess_exec(found, asked, stdin=quiet, stdout=quiet, stderr=quiet)
    return found if await trial.wait() == 0 else None


# --- node, bun, static ------------------------------------------------------------------------------------


async def _node(shop: Workshop, version: str, framework: Framework | None) -> tuple[str, ...]:
    await shop.running_version(version, "node")
    return await _from_package(shop, framework, "npm", "node", _NODE_STARTS)


async def _bun(shop: Workshop, version: str, framework: Framework | None) -> tuple[str, ...]:
    await shop.running_version(version, "bun")
    return await _from_package(shop, framework, "bun", "bun", _BUN_STARTS)


async def _from_package(
    shop: Workshop, framework: Framework | None, tool: str, program: str, starts: tuple[str, ...]
) -> tuple[str, ...]:
    package = await _installed(shop, tool)
    if site := _site(shop, framework):
        return _served(site, single_page=True)
    if command := usual(shop, framework):
        return shop.start(command, example="npm start")
    if "start" in (package.get("scripts") or ()):
        return shop.start((tool, "run", "--silent", "start"), example="npm start")
    main = package.get("main")
    script = main if isinstance(main, str) else shop.first_of(starts)
    if script is None and shop.settings.build_dir and not shop.settings.run_command:
        return _served(shop.inside(shop.settings.build_dir, "buildDir"), single_page=False)
    return shop.start((program, script), example="node server.js")


async def _installed(shop: Workshop, tool: str) -> dict[str, Any]:
    """Install and build what ``package.json`` describes, and return it."""
    package = package_of(shop)
    clean = tool == "npm" and shop.has("package-lock.json")
    needed = package.get("dependencies") or package.get("devDependencies")
    install = shop.settings.install_command or (f"{tool} {'ci' if clean else 'install'}" if needed else None)
    if install:
        await shop.shell("install", install)
    has_build = "build" in (package.get("scripts") or ())
    build = shop.settings.build_command or (f"{tool} run build" if has_build else None)
    if build:
        await shop.shell("build", build, shop.settings.build_flag)
    return package


def _site(shop: Workshop, framework: Framework | None) -> Path | None:
    """Return the directory of a site that the build left, when its framework makes one and nothing starts it."""
    if framework is None or not framework.site or shop.settings.run_command:
        return None
    if shop.settings.build_dir:
        return shop.inside(shop.settings.build_dir, "buildDir")
    found = next((name for name in framework.site if (shop.directory / name / "index.html").is_file()), None)
    if found is None:
        raise BuildFailed(f"The build left no site in {' or '.join(framework.site)}. Set buildDir to where it is.")
    return shop.inside(found, "buildDir")


async def _static(shop: Workshop, _version: str, framework: Framework | None) -> tuple[str, ...]:
    if shop.settings.run_command:
        shop.log(
            "prepare", "A static site is served as it is: runCommand is not used. Another runtime would run it."
        )
    await _installed(shop, "npm")
    site = _site(shop, framework)
    return _served(site or shop.inside(shop.settings.build_dir, "buildDir"), single_page=site is not None)


def _served(site: Path, *, single_page: bool) -> tuple[str, ...]:
    return (sys.executable, "-I", str(_STATIC_SITE), str(site), *(("--single-page",) if single_page else ()))


# --- golang, rust -----------------------------------------------------------------------------------------


async def _golang(shop: Workshop, version: str, _framework: Framework | None) -> tuple[str, ...]:
    # The toolchain that is here: another one would be fetched without anybody having asked for it.
    shop.environment = {"GOTOOLCHAIN": "local"}
    await shop.running_version(version, "go", "version")
    if shop.settings.install_command:
        await shop.shell("install", shop.settings.install_command)
    program = shop.own / "app"
    if shop.settings.build_command:
        await shop.shell("build", shop.settings.build_command, shop.settings.build_flag)
    else:
        shop.own.mkdir(exist_ok=True)
        # An upload without go.sum gets one; with one, what it says is kept to.
        unlocked = () if shop.has("go.sum") or (shop.directory / "vendor").is_dir() else ("-mod=mod",)
        await shop.execute("build", "go", "build", *unlocked, "-o", str(program), ".")
    return shop.start((str(program) if program.exists() else None,), example="./app")


async def _rust(shop: Workshop, version: str, _framework: Framework | None) -> tuple[str, ...]:
    await shop.running_version(version, "cargo")
    if shop.settings.install_command:
        await shop.shell("install", shop.settings.install_command)
    build = shop.settings.build_command or "cargo build --release"
    await shop.shell("build", build, shop.settings.build_flag)
    manifest = shop.parsed("Cargo.toml", tomllib.loads)
    programs = [each.get("name") for each in (*manifest.get("bin", ()), manifest.get("package", {}))]
    places = [Path("target/release") / name for name in programs if isinstance(name, str)]
    program = next((place for place in places if (shop.directory / place).is_file()), None)
    return shop.start((f"./{program}" if program else None,), example="./target/release/app")


RECIPES: dict[str, Recipe] = {
    "python": _python,
    "node": _node,
    "bun": _bun,
    "golang": _golang,
    "rust": _rust,
    "static": _static,
}
"""Each runtime's recipe."""

PROGRAMS = {"python": "python3", "node": "node", "bun": "bun", "golang": "go", "rust": "cargo"}
"""The program whose presence on PATH means that a runtime is on this machine."""
