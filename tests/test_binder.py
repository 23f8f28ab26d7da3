"""The files that a Binder is made from; repo2docker says nothing about what it does not understand in them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

BINDER = Path(__file__).parents[1] / "binder"


def test_the_requirements_lead_to_this_package_and_its_constraints():
    lines = (BINDER / "requirements.txt").read_text().splitlines()
    assert lines == ["--constraint ../.ci/constraints.txt", "--editable .[all]"]
    # pip reads a constraint's path from the file that names it, and an editable's from the repository.
    assert (BINDER / "../.ci/constraints.txt").is_file()


def test_the_python_is_one_that_the_package_supports():
    name, _, version = (BINDER / "runtime.txt").read_text().strip().partition("-")
    assert name == "python"
    assert tuple(map(int, version.split("."))) >= (3, 11)


def test_the_last_step_is_a_program_of_sound_syntax():
    program = BINDER / "postBuild"
    assert os.access(program, os.X_OK)
    subprocess.run(["bash", "-n", program], check=True)


def test_nothing_names_a_package_registry():
    root = BINDER.parent
    files = [*BINDER.iterdir(), root / "pyproject.toml", *(root / ".ci").iterdir()]
    assert [path.name for path in files if "index-url" in path.read_text() or "pypi.org" in path.read_text()] == []
