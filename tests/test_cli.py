"""The command line, as a process where a process is what matters."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from createos_nb import errors
from createos_nb.cli import EXIT_CODES, _plainly, main


def createos_nb(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", "from createos_nb.cli import main; main()", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def running(pid):
    # Where nobody collects ended processes, as in some containers, they stay as zombies.
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.fixture
def state(tmp_path):
    yield tmp_path / "state"
    createos_nb("local", "down", "--state", str(tmp_path / "state"))


@pytest.mark.parametrize(
    "command",
    [
        *("", "demo", "local", "local up", "local status", "local down", "local reset", "local env"),
        *("local logs", "local key"),
        *("runbook", "runbook list", "runbook describe", "runbook run"),
    ],
)
def test_every_command_has_help_that_says_what_it_does(command):
    result = CliRunner().invoke(main, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert len(result.output.splitlines()[2].strip()) > 10


@pytest.mark.parametrize("arguments", [["nonsense"], ["local"], ["runbook", "run"], ["demo", "--nonsense"]])
def test_what_is_not_a_command_is_refused_with_code_2(arguments):
    assert CliRunner().invoke(main, arguments).exit_code == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.SettingsError("No API key."), 2),
        (errors.InvalidArgument("No."), 2),
        (errors.PlanStale("Moved.", before={}, now={}), 2),
        (errors.LeaseHeld("Held."), 2),
        (errors.PlatformError("Port taken."), 1),
        (errors.NotFound("No such."), 2),
        (errors.RunbookError("A cell failed."), 1),
        (KeyboardInterrupt(), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_an_error_is_one_sentence_and_a_code(error, code, capsys):
    @_plainly
    def command() -> int:
        raise error

    with pytest.raises(SystemExit) as ended:
        command()
    assert ended.value.code == code
    said = capsys.readouterr().err
    assert said.startswith("createos-nb: ")
    assert len(said.splitlines()) == 1


def test_the_exit_codes_are_the_documented_ones():
    assert EXIT_CODES == {"done": 0, "dry_run": 0, "undone": 1, "failed": 1, "unclear": 3}


def test_a_platform_is_started_found_and_stopped(state):
    up = createos_nb("local", "up", "--state", str(state), "--json")
    assert up.returncode == 0, up.stderr
    (line,) = up.stdout.splitlines()
    facts = json.loads(line)
    assert set(facts) == {"api_url", "mcp_url", "gateway_url", "state_dir", "key_file", "pid"}
    assert not facts["api_url"].endswith("/v1")

    again = createos_nb("local", "up", "--state", str(state), "--detach", "--json")
    status = createos_nb("local", "status", "--state", str(state), "--json")
    assert json.loads(again.stdout) == facts
    assert json.loads(status.stdout).items() >= facts.items()

    env = createos_nb("local", "env", "--state", str(state))
    assert env.stdout == (
        "unset CREATEOS_API_KEY CREATEOS_ACCESS_TOKEN\n"
        f"export CREATEOS_API_URL={facts['api_url']}\nexport CREATEOS_API_KEY_FILE={facts['key_file']}\n"
    )
    assert createos_nb("local", "down", "--state", str(state)).stdout == "Stopped.\n"
    assert createos_nb("local", "down", "--state", str(state)).stdout == "It was not running.\n"
    assert not running(facts["pid"])


def test_no_command_prints_the_key_but_the_one_that_is_for_it(state):
    up = createos_nb("local", "up", "--state", str(state))
    key = (state / "key").read_text().strip()
    printed = [up, *(createos_nb("local", name, "--state", str(state)) for name in ("status", "env", "logs"))]
    assert key not in "".join(result.stdout + result.stderr for result in printed)
    assert createos_nb("local", "key", "--state", str(state)).stdout == f"{key}\n"


def test_the_log_is_shown_from_its_end_and_harmlessly(state):
    createos_nb("local", "up", "--state", str(state))
    with (state / "platform.log").open("a") as log:
        log.write(f"first\nsecond \x1b[2J {'y' * 300} the reason\n")
    shown = createos_nb("local", "logs", "--state", str(state), "--lines", "1").stdout
    assert shown == f"second \\x1b[2J {'y' * 300} the reason\n"


def test_where_there_never_was_a_platform_there_is_no_log(tmp_path):
    result = createos_nb("local", "logs", "--state", str(tmp_path / "none"))
    assert result.returncode == 1
    assert "There is no log" in result.stderr


@pytest.mark.parametrize("command", ["status", "env", "key"])
def test_a_platform_that_is_not_running_is_said_with_the_way_to_start_it(state, command):
    result = createos_nb("local", command, "--state", str(state))
    assert result.returncode == 1
    assert "createos-nb local up" in result.stderr
    assert result.stdout == ""


def test_a_port_that_is_taken_is_said_in_one_sentence(state):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = createos_nb("local", "up", "--state", str(state), "--port", port)
    assert result.returncode == 1
    assert port in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_reset_asks_first_and_deletes_nothing_that_is_not_a_platforms(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    asked = CliRunner().invoke(main, ["local", "reset", "--state", str(tmp_path / "precious")], input="n\n")
    assert asked.exit_code == 1
    sure = CliRunner().invoke(main, ["local", "reset", "--state", str(tmp_path / "precious"), "--yes"])
    assert sure.exit_code == 1
    assert (tmp_path / "precious" / "file").exists()


def test_the_status_shows_the_limits_in_force(state):
    options = ["--idle-after", "15m", "--admin", "--rate-limit", "documented"]
    assert createos_nb("local", "up", "--state", str(state), *options).returncode == 0
    facts = json.loads(createos_nb("local", "status", "--state", str(state), "--json").stdout)
    assert (facts["idle_s"], facts["admin"], facts["rate_limit"]) == (900, True, "documented")
    assert {"memory_limit", "cpu_limit", "sqlite_version", "clock_ahead_s", "planned_faults"} <= set(facts)


def test_the_status_is_told_though_the_limits_cannot_be_asked_for(state):
    up = json.loads(createos_nb("local", "up", "--state", str(state), "--detach", "--json").stdout)
    key = Path(up["key_file"])
    kept = key.read_text()
    key.write_text("skp_local_revoked")
    told = createos_nb("local", "status", "--state", str(state), "--json")
    assert (told.returncode, json.loads(told.stdout)["api_url"]) == (0, up["api_url"])
    assert "its limits could not be asked for" in told.stderr
    key.write_text(kept)


def test_a_reset_stops_it_and_deletes_its_state(state):
    createos_nb("local", "up", "--state", str(state))
    result = createos_nb("local", "reset", "--state", str(state), "--yes")
    assert (result.returncode, result.stdout) == (0, "Its state is deleted.\n")
    assert not state.exists()


def test_runbooks_are_listed_and_described():
    listed = CliRunner().invoke(main, ["runbook", "list"])
    assert listed.exit_code == 0
    assert "rollback" in listed.output
    described = CliRunner().invoke(main, ["runbook", "describe", "rollback"])
    assert "dry_run" in described.output


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["run", "rollback", "-p", "environment"], "is not KEY=VALUE"),
        (["run", "no-such-runbook"], "no-such-runbook"),
        (["describe", "no-such-runbook"], "no-such-runbook"),
        (["run", "rollback", "-p", "enviroment=shop/production"], "enviroment"),
    ],
)
def test_a_runbook_that_cannot_run_is_refused_in_one_sentence(arguments, reason, monkeypatch):
    monkeypatch.setenv("CREATEOS_API_KEY", "k")
    result = CliRunner().invoke(main, ["runbook", *arguments])
    assert result.exit_code in {1, 2}
    assert reason in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_runbook_without_a_key_says_where_it_was_looked_for(tmp_path):
    result = createos_nb("runbook", "run", "rollback", "-p", "environment=shop/production", HOME=str(tmp_path))
    assert result.returncode in {1, 2}
    assert "CREATEOS_API_KEY" in result.stderr


def test_the_version_is_that_of_the_package():
    from importlib.metadata import version

    import createos_nb as package

    assert package.__version__ in CliRunner().invoke(main, ["--version"]).output
    assert version("createos-nb") == package.__version__
