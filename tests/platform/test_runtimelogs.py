from __future__ import annotations

import pytest

from createos_nb.platform import runtimelogs
from createos_nb.platform.runtimelogs import RuntimeLogs


class Clock:
    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def logs(tmp_path, clock):
    logs = RuntimeLogs(tmp_path / "logs", clock=clock)
    yield logs
    logs.close()


def test_lines_come_back_in_order_and_unchanged(logs):
    lines = ["first", "", "  indented", "ünïcode", "with\ttab", "1.0 2 looks like ours"]
    for line in lines:
        logs.write("env", "dep", 0, line)
    assert logs.read(environment_id="env").split("\n") == lines


def test_only_the_last_seconds_are_read(logs, clock):
    for age in range(10):
        logs.write("env", "dep", 0, f"line {age}")
        clock.now += 1
    assert logs.read(environment_id="env", since_s=3).split("\n") == ["line 7", "line 8", "line 9"]


def test_lines_are_read_by_environment_and_by_deployment(logs):
    logs.write("env-a", "dep-1", 0, "a1")
    logs.write("env-b", "dep-1", 0, "b1")
    logs.write("env-a", "dep-2", 0, "a2")
    logs.write(None, "dep-1", 0, "nowhere")
    assert sorted(logs.read(environment_id="env-a").split("\n")) == ["a1", "a2"]
    assert sorted(logs.read(deployment_id="dep-1").split("\n")) == ["a1", "b1", "nowhere"]
    assert logs.read(environment_id="env-a", deployment_id="dep-2") == "a2"


def test_lines_of_several_files_are_merged_by_time(logs, clock):
    for number in range(6):
        logs.write("env", f"dep-{number % 2}", 0, str(number))
        clock.now += 1
    assert logs.read(environment_id="env").split("\n") == list("012345")


def test_no_lines_are_an_empty_text(logs):
    assert logs.read(environment_id="env") == ""


def test_a_rotation_loses_nothing_and_disk_use_is_bounded(logs, tmp_path, monkeypatch):
    monkeypatch.setattr(runtimelogs, "MAX_FILE_BYTES", 1_000)
    for number in range(90):
        logs.write("env", "dep", 0, f"line {number}")
    assert logs.read(environment_id="env").split("\n") == [f"line {number}" for number in range(90)]
    for number in range(1_000):
        logs.write("env", "dep", 0, f"later {number}")
    files = list((tmp_path / "logs" / "env").iterdir())
    assert sum(file.stat().st_size for file in files) <= 3 * 1_100
    kept = logs.read(environment_id="env").split("\n")
    assert kept == [f"later {number}" for number in range(1_000 - len(kept), 1_000)]


def test_lines_survive_a_restart_and_a_half_written_one_spoils_no_other(tmp_path, clock):
    first = RuntimeLogs(tmp_path, clock=clock)
    first.write("env", "dep", 0, "whole")
    first.close()
    with (tmp_path / "env" / "dep.log").open("a") as file:
        file.write("1000000.000 0 ha")
    second = RuntimeLogs(tmp_path, clock=clock)
    assert second.read(environment_id="env") == "whole"
    second.write("env", "dep", 0, "next")
    assert second.read(environment_id="env").split("\n") == ["whole", "ha", "next"]
    second.close()


def test_many_deployments_do_not_hold_many_files_open(logs):
    for number in range(200):
        logs.write("env", f"dep-{number}", 0, "line")
    assert len(logs._open) <= runtimelogs._OPEN_FILES
    assert len(logs.read(environment_id="env").split("\n")) == 200


@pytest.mark.parametrize("identifier", ["../x", "", ".", "a/b", "*", "a\x00"])
def test_an_id_never_leads_to_another_file(logs, identifier):
    with pytest.raises(ValueError, match="not an id"):
        logs.write(identifier, "dep", 0, "x")
    with pytest.raises(ValueError, match="not an id"):
        logs.read(deployment_id=identifier)


def test_a_rotation_while_it_is_read_in_another_thread_loses_and_repeats_nothing(logs, monkeypatch):
    monkeypatch.setattr(runtimelogs, "MAX_FILE_BYTES", 500)
    for number in range(30):
        logs.write("env", "dep", 0, f"line {number}")
    reading = logs.reading(deployment_id="dep")
    for number in range(30, 200):
        logs.write("env", "dep", 0, f"line {number}")
    lines = reading().split("\n")
    assert len(lines) >= 30
    assert lines == [f"line {number}" for number in range(len(lines))]
