"""What every notebook of this package keeps to, read from its source; no kernel is started here."""

from __future__ import annotations

import ast
import json
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest

from createos_nb import runbooks
from createos_nb.runbooks.notebooks import parameters

NOTEBOOKS = sorted(runbooks.directory().rglob("*.ipynb"))
RUNBOOKS = [path for path in NOTEBOOKS if path.parent.name == "runbooks"]
PARAMETRISED = [path for path in NOTEBOOKS if path.parent.name in {"runbooks", "explore"}]

LOGIC = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda),
    *(ast.For, ast.AsyncFor, ast.While, ast.Try, ast.TryStar, ast.If, ast.With, ast.AsyncWith),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)


def _name(path: Path) -> str:
    return path.stem


def _code(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def test_the_notebooks_are_there():
    assert {"analytics", "rollback", "incident_report"} <= {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=_name)
def test_a_notebook_holds_no_logic(path):
    for cell in _code(path):
        found = [type(node).__name__ for node in ast.walk(ast.parse(cell.source)) if isinstance(node, LOGIC)]
        assert not found, f"{cell.id}: {found}; it belongs in the package, where it is tested"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=_name)
def test_a_notebook_imports_nothing_but_this_package(path):
    for cell in _code(path):
        for node in ast.walk(ast.parse(cell.source)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert all(name.split(".")[0] == "createos_nb" for name in names), cell.id


@pytest.mark.parametrize("path", NOTEBOOKS, ids=_name)
def test_a_notebook_is_short(path):
    cells = _code(path)
    assert len(cells) <= 12
    assert all(len(cell.source.splitlines()) <= 8 for cell in cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=_name)
def test_every_call_has_a_sentence_before_it(path):
    cells = nbformat.read(path, as_version=4).cells
    assert cells[0].cell_type == "markdown"
    assert cells[0].source.startswith("# ")
    for before, cell in pairwise(cells):
        if cell.cell_type == "code":
            assert before.cell_type == "markdown", cell.id
            assert before.source.rstrip().endswith((".", ":", "?")), before.id


@pytest.mark.parametrize("path", NOTEBOOKS, ids=_name)
def test_a_notebook_is_stored_as_it_was_written_and_not_as_it_ran(path):
    raw = json.loads(path.read_text(encoding="utf-8"))
    nbformat.validate(raw)
    assert raw["metadata"].keys() == {"kernelspec", "language_info"}
    assert raw["metadata"]["language_info"] == {"name": "python"}
    for cell in raw["cells"]:
        assert cell["metadata"].keys() <= {"tags"}, cell["id"]
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None


@pytest.mark.parametrize("path", PARAMETRISED, ids=_name)
def test_there_is_one_parameters_cell_and_each_parameter_is_typed_and_explained(path):
    tagged = [cell for cell in _code(path) if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert tagged[0] is not None
    assert all(isinstance(node, ast.AnnAssign) for node in ast.parse(tagged[0].source).body)
    declared = parameters(path)
    assert len(declared) == len(ast.parse(tagged[0].source).body)
    for parameter in declared.values():
        assert parameter.type in {"str", "int", "float", "bool"}, parameter.name
        assert parameter.help, parameter.name
        assert not any(word in parameter.name for word in ("key", "token", "secret", "password"))


@pytest.mark.parametrize("path", PARAMETRISED, ids=_name)
def test_the_last_cell_finishes(path):
    assert "runbooks.finish(" in _code(path)[-1].source.splitlines()[-1]


@pytest.mark.parametrize("path", RUNBOOKS, ids=_name)
def test_a_runbook_says_when_to_use_it_what_it_changes_and_how_to_undo_it(path):
    about = nbformat.read(path, as_version=4).cells[0].source
    assert all(f"**{heading}**" in about for heading in ("When to use it.", "What it changes.", "How to undo it."))


@pytest.mark.parametrize("path", RUNBOOKS, ids=_name)
def test_a_runbook_that_changes_something_is_dry_unless_told_otherwise(path):
    source = "\n".join(cell.source for cell in _code(path))
    assert ".apply(" not in source.replace("runbooks.apply(", "")
    if "runbooks.apply(" in source:
        first = next(iter(parameters(path).values()))
        assert (first.name, first.type, first.default) == ("dry_run", "bool", "True")
