"""The import arrows of the design point one way; imports inside functions included."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import createos_nb

ROOT = Path(createos_nb.__file__).parent
STANDALONE = ROOT / "platform" / "applications" / "shop"
"""An application that users upload; its files are data of the package."""

LAYERS = (
    {"errors", "extras", "completion", "timerange", "settings", "markup", "endpoints", "api.secret"},
    {"api", "traffic"},
    {"schema", "logs"},
    {"metrics", "charts"},
    {"accessor", "registration"},
    {"archive"},
    {"plans"},
    {
        "fanout",
        "answers",
        "explanation",
        "analytics",
        "blame",
        "names",
        "suspects",
        "frames",
        "account",
        "follow",
        "selection",
        "workspace",
    },
    {"reports"},
    {"runbooks"},
    {"panels"},
    {"session", "cli", "demo", ""},
)
"""Each may import from its own layer and from those above it in this list."""

PLATFORM_MAY_IMPORT = {"platform", "api", "api.secret", "errors", "settings", "markup"}
MAY_IMPORT_PLATFORM = {"platform", "session", "cli", "demo"}

ONLY_IN = {
    "pandas": LAYERS[2] | LAYERS[3] | LAYERS[4] | LAYERS[5] | LAYERS[7] | LAYERS[8] | LAYERS[9] | LAYERS[10],
    "altair": {"charts", "reports"},
    "vl_convert": {"charts", "reports"},
    "ipywidgets": {"panels"},
    "traitlets": {"panels", "runbooks", "reports"},
    "IPython": {"charts", "completion", "panels", "reports", "runbooks"},
    "papermill": {"runbooks"},
    "nbclient": {"runbooks"},
    "nbconvert": {"reports"},
    "nbformat": {"reports", "runbooks"},
    "starlette": {"platform"},
    "uvicorn": {"platform"},
    "duckdb": {"platform"},
    "sqlite3": {"api", "platform", "answers"},
    "ibis": {"archive"},
    "fsspec": {"archive"},
    "psutil": {"platform"},
    "httpx": {"api", "traffic"},
    "httpcore": {"api"},
    "httpx2": {"api"},
    "mcp": {"api", "platform"},
    "click": {"cli", "demo"},
}
"""Where a library may be imported at all."""


@dataclass(frozen=True)
class Import:
    importer: str
    imported: str
    line: int
    at_top: bool

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def modules() -> dict[str, Path]:
    """Dotted name below the package to file; the package itself is the empty name."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix("__init__").rstrip("."): path
        for path in sorted(ROOT.rglob("*.py"))
        if not path.is_relative_to(STANDALONE)
    }


MODULES = modules()


def imports_of(name: str) -> list[Import]:
    """Every import in a module, wherever it stands, but for those of the type checker alone."""
    found: list[Import] = []

    def visit(node: ast.AST, *, at_top: bool) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.orelse:
                visit(child, at_top=at_top)
            return
        if isinstance(node, ast.Import):
            found.extend(Import(name, alias.name, node.lineno, at_top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}:{node.lineno} has a relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                known = whole.removeprefix("createos_nb.") in MODULES
                found.append(Import(name, whole if known else str(node.module), node.lineno, at_top))
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            found.extend(
                Import(name, argument.value, node.lineno, at_top=False)
                for argument in node.args
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
            )
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, at_top=at_top and not inside)

    visit(ast.parse(MODULES[name].read_text()), at_top=True)
    return found


IMPORTS = [found for name in MODULES for found in imports_of(name)]


def part(module: str) -> str:
    """The part of the package that a module belongs to, as the layers name it."""
    inner = module.removeprefix("createos_nb").lstrip(".")
    return "api.secret" if inner == "api.secret" else inner.partition(".")[0]


def layer(name: str) -> int:
    # The package's own module imports nothing until a name is asked for, so that anybody may import it.
    return next(level for level, names in enumerate(LAYERS) if name in names)


INNER = [found for found in IMPORTS if found.imported.partition(".")[0] == "createos_nb"]


def test_every_module_belongs_to_a_layer():
    known = set().union(*LAYERS, {"platform", "__main__"})
    assert {part(name) for name in MODULES} <= known


def test_no_module_imports_from_a_layer_below():
    upward = [
        str(found)
        for found in INNER
        if "platform" not in {part(found.importer), part(found.imported)}
        and layer(part(found.imported)) > layer(part(found.importer))
        and found.imported != "createos_nb"
    ]
    assert upward == []


def test_the_platform_knows_only_the_api_and_what_knows_nothing():
    assert [
        str(found)
        for found in INNER
        if part(found.importer) == "platform" and part(found.imported) not in PLATFORM_MAY_IMPORT
    ] == []


def test_only_local_the_command_line_and_the_demo_know_the_platform():
    assert [
        str(found)
        for found in INNER
        if part(found.imported) == "platform" and part(found.importer) not in MAY_IMPORT_PLATFORM
    ] == []


def test_plans_never_know_a_workspace_and_metrics_are_free_of_charts():
    assert [
        str(found) for found in INNER if part(found.importer) == "metrics" and part(found.imported) == "charts"
    ] == []


def test_no_modules_import_each_other_in_a_circle():
    graph = {
        name: {
            found.imported.removeprefix("createos_nb").lstrip(".")
            for found in INNER
            if found.importer == name and found.at_top
        }
        for name in MODULES
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail, name])
        if name not in done:
            for other in graph.get(name, ()):
                visit(other, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_where_it_belongs_and_nowhere_else(library):
    assert [
        str(found)
        for found in IMPORTS
        if found.imported.partition(".")[0] == library and part(found.importer) not in ONLY_IN[library]
    ] == []


def test_every_library_is_a_declared_requirement():
    import tomllib
    from importlib.metadata import packages_distributions

    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["project"]
    declared = {
        requirement.split("[")[0].split(">")[0].split("<")[0].split("=")[0].strip().lower().replace("_", "-")
        for extra, requirements in {"": project["dependencies"], **project["optional-dependencies"]}.items()
        for requirement in requirements
        if extra != "test"
    }
    owners = packages_distributions()
    missing = {
        str(found)
        for found in IMPORTS
        if (top := found.imported.partition(".")[0]) not in {*sys.stdlib_module_names, "createos_nb"}
        and not {owner.lower().replace("_", "-") for owner in owners.get(top, [top])} & declared
    }
    # What another requirement brings and promises to keep: pydantic its core, mcp its types, ipykernel the rest.
    promised = {"pydantic_core", "mcp_types", "IPython", "traitlets", "jupyter_client", "anyio"}
    assert {line for line in missing if line.split()[-1].partition(".")[0] not in promised} == set()


def test_no_module_passes_400_lines():
    long = {name: count for name, path in MODULES.items() if (count := len(path.read_text().splitlines())) > 400}
    assert long == {}


def test_no_path_of_the_api_is_written_outside_the_declarations():
    """So that every id passes the one builder that quotes it (SAFETY H11)."""
    strays = []
    for name, path in MODULES.items():
        tree = ast.parse(path.read_text())
        declared = {
            id(argument)
            for call in ast.walk(tree)
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "operation"
            for argument in call.args
        }
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        strays += [
            f"{name}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and "v1/" in node.value
            and id(node) not in declared | prose
        ]
    assert strays == []


def test_only_the_drivers_and_the_traffic_speak_http():
    assert {found.importer for found in IMPORTS if found.imported == "httpx"} == {
        *("api.rest", "api.connection", "traffic")
    }
    assert {found.importer for found in IMPORTS if found.imported == "httpcore"} == {"api.rest", "api.connection"}
