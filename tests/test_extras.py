"""Optional parts: what each brings, and what a person reads where one is missing."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import createos_nb
from createos_nb.errors import MissingExtra
from createos_nb.extras import EXTRAS, explained, require

PACKAGE = Path(createos_nb.__file__).parent
CORE = {
    *("httpx", "httpcore", "httpx2", "pydantic", "pydantic_core", "mcp", "mcp_types", "anyio", "click", "filelock"),
    *("cronsim", "markupsafe", "platformdirs", "tqdm"),
}
"""What every install brings: the dependencies, and pydantic_core and anyio under them."""


def imported(folder: Path = PACKAGE) -> set[str]:
    """Every library that the modules of a folder import anywhere, by its top-level name."""
    found = set()
    for path in folder.rglob("*.py"):
        if path.is_relative_to(PACKAGE / "platform" / "applications"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - {"createos_nb"} - set(sys.stdlib_module_names)


def test_every_library_is_of_the_core_or_of_an_extra():
    assert imported() - CORE == imported() & {library for libraries in EXTRAS.values() for library in libraries}


def test_the_extras_are_those_of_the_project():
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    assert set(EXTRAS) <= set(project["optional-dependencies"])


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_asks_for_nothing_that_it_does_not_bring(extra):
    """Else whoever installed it is told to install it."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    brings = {canonicalize_name(Requirement(each).name) for each in project["optional-dependencies"][extra]}
    brings |= {"ipython", "traitlets"} if "ipykernel" in brings else set()  # of which they are parts
    of_a_library = metadata.packages_distributions()
    asks = {
        library: {canonicalize_name(each) for each in of_a_library.get(library, ())} for library in EXTRAS[extra]
    }
    assert [library for library, names in asks.items() if names and not names & brings] == []


def test_what_is_installed_is_not_missed():
    require("notebook", "A panel")


def test_a_missing_library_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(EXTRAS, "lab", ("no_such_library",))
    with pytest.raises(MissingExtra) as raised:
        require("lab", "JupyterLab")
    assert str(raised.value) == (
        "JupyterLab needs no_such_library, which is not installed. Run: pip install 'createos-nb[lab]'"
    )
    assert isinstance(raised.value, ImportError)


def test_an_import_that_fails_for_another_reason_stays_as_it_is():
    error = ModuleNotFoundError("No module named 'createos_nb.nothing'", name="createos_nb.nothing")
    assert explained(error, "It") is error


@pytest.mark.parametrize(
    ("statement", "extra"),
    [
        ("import createos_nb; createos_nb.connect", "notebook"),
        ("import createos_nb; createos_nb.panels", "notebook"),
        ("import createos_nb; createos_nb.incident", "notebook"),
        ("from createos_nb.cli import main; main(['runbook', 'list'])", "notebook"),
    ],
)
def test_without_the_extra_the_front_door_says_what_to_install(statement, extra):
    ruled_out = "import sys; sys.modules.update(dict.fromkeys(('pandas', 'ipywidgets')))"
    run = subprocess.run(
        [sys.executable, "-c", f"{ruled_out}; {statement}"], capture_output=True, text=True, check=False
    )
    assert run.returncode != 0
    assert f"pip install 'createos-nb[{extra}]'" in run.stderr.splitlines()[-1]


def test_the_client_needs_no_extra():
    blocked = [library for libraries in EXTRAS.values() for library in libraries]
    ruled_out = f"import sys; sys.modules.update(dict.fromkeys({blocked!r}))"
    subprocess.run([sys.executable, "-c", f"{ruled_out}; import createos_nb; createos_nb.Client"], check=True)


def brought_by(requirement: Requirement, met: set[tuple[str, str]]) -> Iterator[str]:
    """Every distribution that installing a requirement installs, by its canonical name."""
    name = canonicalize_name(requirement.name)
    for extra in ("", *requirement.extras):
        if (name, extra) in met:
            continue
        met.add((name, extra))
        yield name
        for line in metadata.requires(name) or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                yield from brought_by(needed, met)


def test_every_library_that_a_test_imports_comes_with_the_test_extra():
    brought = set(brought_by(Requirement("createos-nb[test]"), set()))
    distributions = metadata.packages_distributions()
    missing = {
        name
        for name in imported(PACKAGE.parent / "tests") & distributions.keys()
        if brought.isdisjoint(map(canonicalize_name, distributions[name]))
    }
    assert not missing
