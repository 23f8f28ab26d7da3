from __future__ import annotations

import pytest

from createos_nb import runbooks
from createos_nb.errors import RunbookError


def test_the_runbooks_are_listed_with_title_and_parameters():
    listed = runbooks.list()
    assert list(listed.columns) == ["name", "title", "parameters"]
    assert listed.set_index("name")["title"].to_dict() == {
        "incident_report": "Write an incident report",
        "rollback": "Roll back an environment",
    }
    assert listed.set_index("name")["parameters"]["rollback"].startswith("dry_run, environment, deployment")


def test_a_runbook_is_described_by_its_parameters_cell(notebook):
    described = runbooks.describe(str(notebook()))
    assert described.to_dict("records")[0] == {
        "parameter": "word",
        "type": "str",
        "default": '"a"',
        "help": "a word",
    }
    assert list(described["type"]) == ["str", "int", "float", "bool"]


@pytest.mark.parametrize("name", ["rollback", "runbooks/rollback", "explore/analytics"])
def test_a_notebook_is_found_by_name_or_by_path(name):
    assert runbooks.find(name).is_file()


def test_a_notebook_of_ones_own_is_found_by_its_path(notebook):
    path = notebook(name="with {braces}.ipynb")
    assert runbooks.find(str(path)) == path
    assert len(runbooks.describe(str(path))) == 4


@pytest.mark.parametrize("name", ["rolback", "../../etc/passwd", "", "nowhere.ipynb", "a\x1b[2J"])
def test_an_unknown_runbook_is_refused_with_those_there_are(name):
    with pytest.raises(RunbookError, match=r"There are: incident_report, rollback\.") as caught:
        runbooks.find(name)
    assert "\x1b" not in str(caught.value)


def test_an_installed_package_keeps_its_notebooks_inside(tmp_path, monkeypatch):
    import createos_nb

    inside = tmp_path / "createos_nb"
    (inside / "notebooks").mkdir(parents=True)
    monkeypatch.setattr(createos_nb, "__file__", str(inside / "__init__.py"))
    assert runbooks.directory() == inside / "notebooks"
