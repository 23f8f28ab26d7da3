"""What a type checker knows of the package, asked of mypy and of pyright themselves."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def found():
    """The complaints of ``mypy --strict`` about the two files: file name to line to error code."""
    files = [HERE / "typing" / "api.py", HERE / "typing" / "wrong.py"]
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-error-summary",
        "--hide-error-context",
        *map(str, files),
    ]
    result = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=False)
    assert result.stderr == ""
    complaints: dict[str, dict[int, str]] = {}
    for line in result.stdout.splitlines():
        match = re.match(r"(?P<file>.+?):(?P<line>\d+): error: .* \[(?P<code>[\w-]+)\]", line)
        if match:
            complaints.setdefault(Path(match["file"]).name, {})[int(match["line"])] = match["code"]
    return complaints


def test_the_package_and_its_right_calls_pass_mypy_strict(found):
    assert {name: lines for name, lines in found.items() if name != "wrong.py"} == {}


def test_every_wrong_call_is_refused_for_its_reason_and_no_other_line_is(found):
    lines = (HERE / "typing" / "wrong.py").read_text().splitlines()
    marked = {number: line.partition("# E: ")[2] for number, line in enumerate(lines, 1) if "# E: " in line}
    assert len(marked) > 10
    assert found["wrong.py"] == marked


@pytest.fixture(scope="module")
def pyright(require):
    """The errors of pyright in the two files: file name to the lines that have one."""
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    files = [str(HERE / "typing" / name) for name in ("api.py", "wrong.py")]
    result = subprocess.run([*command, *files], cwd=HERE.parent, capture_output=True, text=True, check=False)
    try:
        told = json.loads(result.stdout)["generalDiagnostics"]
    except ValueError:
        require("pyright", f"it does not run: {result.stderr.strip()[-200:]}")
    found: dict[str, set[int]] = {"api.py": set(), "wrong.py": set()}
    for diagnostic in told:
        if diagnostic["severity"] == "error":
            found[Path(diagnostic["file"]).name].add(diagnostic["range"]["start"]["line"] + 1)
    return found


def test_pyright_agrees_with_mypy_about_right_calls_and_wrong_ones(pyright):
    lines = (HERE / "typing" / "wrong.py").read_text().splitlines()
    assert pyright["api.py"] == set()
    assert pyright["wrong.py"] == {number for number, line in enumerate(lines, 1) if "# E: " in line}


def test_the_package_says_that_it_is_typed():
    import createos_nb

    assert (Path(createos_nb.__file__).parent / "py.typed").is_file()
