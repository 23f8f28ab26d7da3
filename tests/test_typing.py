"""What a type checker knows of the package, asked of mypy itself."""

from __future__ import annotations

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


def test_the_package_says_that_it_is_typed():
    import createos_nb

    assert (Path(createos_nb.__file__).parent / "py.typed").is_file()
