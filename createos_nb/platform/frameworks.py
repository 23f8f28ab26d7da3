"""Frameworks: what their applications have in common, and which one an upload was made with."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from dataclasses import dataclass
from typing import Any

from createos_nb.platform.workshop import BuildFailed, Workshop

PYTHON_STARTS = ("main.py", "app.py", "server.py")
"""The files that Python is started with."""

WITH_APPLICATION = (*PYTHON_STARTS, "wsgi.py", "asgi.py", "application.py")
"""The files that usually hold an application object."""

_FACTORIES = ("create_app", "make_app")
_MOST_READ = 200_000


@dataclass(frozen=True)
class Framework:
    """What a framework's applications have in common.

    Attributes
    ----------
    runtime
        What it runs on, without a version.
    start
        Shell command that starts it, where only this machine reaches it; ``{module}`` and ``{app}`` are where the
        application object is, ``{factory}`` says that it is a function that makes it. None for what the runtime
        would do anyway.
    site
        Directories the build may leave a site in, which is then served as it is.
    made_with
        Name of the class whose object is the application.
    """

    runtime: str
    start: str | None = None
    site: tuple[str, ...] = ()
    made_with: str | None = None


FRAMEWORKS = {
    "nextjs": Framework("node", 'npx next start -H 127.0.0.1 -p "$PORT"'),
    "reactjs-spa": Framework("node", site=("dist", "build")),
    "reactjs-ssr": Framework("node"),
    "vuejs-spa": Framework("node", site=("dist",)),
    "vuejs-ssr": Framework("node"),
    "nuxtjs": Framework("node", "HOST=127.0.0.1 node .output/server/index.mjs"),
    "astro": Framework("node", site=("dist",)),
    "remix": Framework("node"),
    "express": Framework("node"),
    "fastapi": Framework(
        "python", 'python -m uvicorn {module}:{app}{factory} --host 127.0.0.1 --port "$PORT"', made_with="FastAPI"
    ),
    "flask": Framework(
        "python", 'python -m flask --app {module}:{app} run --host 127.0.0.1 --port "$PORT"', made_with="Flask"
    ),
    "django": Framework("python", 'python manage.py runserver --noreload "127.0.0.1:$PORT"'),
    "gin": Framework("golang"),
    "fiber": Framework("golang"),
    "actix": Framework("rust"),
}
"""The frameworks that the platform's documentation names."""

_NODE_SIGNS = {
    "next": "nextjs",
    "nuxt": "nuxtjs",
    "astro": "astro",
    "@remix-run/react": "remix",
    "@react-router/node": "remix",
    "express": "express",
    "react-scripts": "reactjs-spa",
    "@vue/cli-service": "vuejs-spa",
}
"""A dependency to the framework it means; the first that is there counts."""
_GO_SIGNS = {"github.com/gin-gonic/gin": "gin", "github.com/gofiber/fiber": "fiber"}


@dataclass(frozen=True)
class _Application:
    """Where an application object is, or the function that makes it."""

    file: str
    name: str
    factory: bool = False

    @property
    def module(self) -> str:
        return self.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def framework_of(shop: Workshop, runtime: str) -> str | None:
    """Return the framework that the files of an upload for this runtime show, None when they show none."""
    if runtime in {"node", "bun"}:
        package = package_of(shop)
        needed = {**(package.get("dependencies") or {}), **(package.get("devDependencies") or {})}
        if found := next((name for sign, name in _NODE_SIGNS.items() if sign in needed), None):
            return found
        # With vite there is a site to serve, unless something is there that renders it.
        kind = "ssr" if "start" in (package.get("scripts") or ()) else "spa"
        signs = {"react": f"reactjs-{kind}", "vue": f"vuejs-{kind}"}
        return next((name for sign, name in signs.items() if {sign, "vite"} <= set(needed)), None)
    if runtime == "golang":
        return next((name for sign, name in _GO_SIGNS.items() if sign in shop.text("go.mod")), None)
    if runtime == "rust":
        needed = shop.parsed("Cargo.toml", tomllib.loads).get("dependencies") or {}
        return "actix" if "actix-web" in needed else None
    if runtime == "python":
        if shop.has("manage.py"):
            return "django"
        # An application that starts itself is started as it is.
        starts = [name for name in PYTHON_STARTS if shop.has(name)]
        if not any("__main__" in shop.text(name) for name in starts):
            return next((name for name in ("fastapi", "flask") if _application(shop, FRAMEWORKS[name])), None)
    return None


def _places(shop: Workshop) -> list[str]:
    """Return the files that an application object may be in, the likeliest first.

    One that Python is started with comes before all others: what else is there, it imports as it likes.
    """
    if starts := [name for name in PYTHON_STARTS if shop.has(name)]:
        return starts
    packages = sorted({path.parent.name for path in shop.directory.glob("*/__init__.py")} - {"test", "tests"})
    inside = [f"{package}/{name}" for package in packages for name in ("__init__.py", *WITH_APPLICATION)]
    return [name for name in (*WITH_APPLICATION, "app/main.py", *inside) if shop.has(name)]


def _application(shop: Workshop, framework: Framework) -> _Application | None:
    """Return where the application object is, or else the function that makes it."""
    pattern = re.compile(rf"^(\w+)(?:\s*:.*?)?\s*=\s*(?:\w+\.)?{framework.made_with}\(", re.MULTILINE)
    places = _places(shop)
    for name in places:
        if match := pattern.search(shop.text(name)):
            return _Application(name, match[1])
    for name in places:
        if (factory := _factory(shop.text(name), str(framework.made_with))) is not None:
            return _Application(name, factory, factory=True)
    return None


def _factory(text: str, made_with: str) -> str | None:
    """Return the name of a function that makes an application and takes nothing for it, None when there is none."""
    if not any(name in text for name in _FACTORIES) or len(text) > _MOST_READ:
        return None
    try:
        functions = [each for each in ast.parse(text).body if isinstance(each, ast.FunctionDef)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    for function in functions:
        given = function.args
        required = len(given.posonlyargs) + len(given.args) - len(given.defaults) + given.kw_defaults.count(None)
        calls = [each.func for each in ast.walk(function) if isinstance(each, ast.Call)]
        if function.name in _FACTORIES and not required and any(_names(call, made_with) for call in calls):
            return function.name
    return None


def _names(called: ast.expr, name: str) -> bool:
    return name in {getattr(called, "id", None), getattr(called, "attr", None)}


def usual(shop: Workshop, framework: Framework | None) -> tuple[str, ...] | None:
    """Return the command a framework's applications are started with, None when it has none of its own.

    Raises
    ------
    BuildFailed
        There is nothing of that framework in the usual places.
    """
    if framework is None or framework.start is None or shop.settings.run_command:
        return None
    if framework.made_with is None:
        return ("/bin/sh", "-c", framework.start)
    found = _application(shop, framework)
    if found is None and (name := shop.first_of(WITH_APPLICATION)):
        found = _Application(name, "app")  # It may come from another module.
    if found is None:
        raise BuildFailed(
            f"No {framework.made_with} object was found in {', '.join(WITH_APPLICATION)} or a package. "
            "Set runCommand to what starts it."
        )
    module, factory = found.module, " --factory" if found.factory else ""
    return ("/bin/sh", "-c", framework.start.format(module=module, app=found.name, factory=factory))


def package_of(shop: Workshop) -> dict[str, Any]:
    """Return what ``package.json`` says."""
    return shop.parsed("package.json", json.loads)
