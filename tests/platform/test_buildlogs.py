"""Build logs: bounded, with the beginning and the end, and no number that changes."""

from __future__ import annotations

import pytest

from createos_nb.platform import buildlogs
from createos_nb.platform.clock import Clock


@pytest.fixture
def logs(tmp_path, monkeypatch):
    monkeypatch.setattr(buildlogs, "MAX_BYTES", 2_000)
    return buildlogs.BuildLogs(tmp_path / "logs", Clock())


def test_of_a_log_that_is_too_long_the_beginning_and_the_end_are_kept(logs, tmp_path):
    for number in range(1, 1001):
        logs.write("d", "build", f"line {number}")
        if number == 500:  # A restart in the middle.
            logs = buildlogs.BuildLogs(tmp_path / "logs", Clock())
    lines = logs.read("d")
    assert [line.log for line in lines[:2]] == ["line 1", "line 2"]
    assert lines[-1].log == "line 1000"
    (said,) = [place for place, line in enumerate(lines) if "left out" in line.log]
    assert lines[said].log == f"({1000 - len(lines) + 1:,} lines are left out here: the log is too long.)"
    numbers = [line.line_number for line in lines]
    assert numbers == sorted(set(numbers))
    assert all(line.log == f"line {line.line_number}" for line in lines if "left out" not in line.log)
    assert sum(path.stat().st_size for path in (tmp_path / "logs").iterdir()) < 3 * 2_000
    assert [line.log for line in logs.read("d", skip=998)] == ["line 999", "line 1000"]


def test_what_is_read_while_the_files_change_places_is_there_once(logs):
    for number in range(1, 301):
        logs.write("d", "build", f"line {number}")
    kept = [line.line_number for line in logs.read("d") if "left out" not in line.log]
    reading = logs._entries("d", skip=kept[-12])
    seen = [next(reading)[0]]  # The files are open now.
    for number in range(301, 317):  # Enough for one to take the other's place.
        logs.write("d", "build", f"line {number}")
    seen += [number for number, *_ in reading]
    assert seen == sorted(set(seen))
    assert set(range(kept[-11], 301)) <= set(seen)


def test_of_a_deployment_that_is_gone_nothing_is_left(logs, tmp_path):
    for number in range(500):
        logs.write("d", "build", f"line {number}")
    logs.remove("d")
    assert logs.read("d") == []
    assert not list((tmp_path / "logs").iterdir())
