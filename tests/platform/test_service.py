from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from createos_nb.errors import InvalidArgument, PlatformError
from createos_nb.platform import service
from createos_nb.platform.options import Options
from createos_nb.platform.store import VERSION
from tests.platform.conftest import eventually


@pytest.fixture
def state(tmp_path):
    yield tmp_path / "state"
    service.stop(tmp_path / "state")


def user_of(address):
    """Who the platform says that the key in the key file belongs to."""
    headers = {"X-Api-Key": address.api_key().reveal()}
    answer = httpx.get(f"{address.api_url}/v1/users/me", headers=headers, trust_env=False)
    return answer.json()["data"]["id"]


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_it_answers_as_soon_as_it_is_started(state):
    address = service.start(state)
    assert user_of(address)
    assert service.status(state) == address
    assert address.to_json().items() <= json.loads((state / "address.json").read_text()).items()
    assert httpx.get(address.gateway_url, trust_env=False).status_code == 421


def test_only_its_owner_may_read_what_it_keeps(state):
    address = service.start(state)
    assert mode(state) == 0o700
    for path in (address.key_file, state / "address.json", state / "platform.sqlite"):
        assert mode(path) == 0o600, path


def test_a_second_start_attaches(state):
    first = service.start(state)
    assert service.start(state) == first


def test_several_starts_at_once_are_one_platform(state):
    with ThreadPoolExecutor(3) as pool:
        addresses = set(pool.map(lambda _: service.start(state), range(3)))
    assert len(addresses) == 1


def test_a_second_process_on_the_same_state_is_refused(state):
    service.start(state)
    command = [sys.executable, "-m", "createos_nb.platform", "--state", str(state)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert second.returncode == 1
    assert f"Another platform runs on {state}" in second.stderr


def test_a_stopped_platform_is_gone_and_its_data_stay(state):
    first = service.start(state)
    user = user_of(first)
    assert service.stop(state)
    assert service.status(state) is None
    eventually(lambda: not psutil.pid_exists(first.pid))
    assert not service.stop(state)
    second = service.start(state)
    assert user_of(second) == user
    assert second.api_key() == first.api_key()
    # Links in notebooks and reports outlive a restart.
    assert (second.api_url, second.gateway_url) == (first.api_url, first.gateway_url)


def test_the_address_of_a_killed_platform_is_not_taken_for_the_new_one(state):
    first = service.start(state)
    os.kill(first.pid, signal.SIGKILL)
    psutil.Process(first.pid).wait(10)
    assert (state / "address.json").exists()
    assert service.status(state) is None
    second = service.start(state)
    assert second.pid != first.pid
    assert user_of(second)


def test_a_port_that_is_taken_is_said_clearly(state):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for ports in ({"api_port": port}, {"gateway_port": port}):
            with pytest.raises(PlatformError, match=f"Port {port} cannot be used .*Choose another"):
                service.start(state, **ports)
    assert user_of(service.start(state, api_port=port)), "nothing stays locked"


def test_a_running_platform_on_other_ports_is_not_taken_for_the_wanted_one(state):
    address = service.start(state)
    port = int(address.api_url.rpartition(":")[2])
    assert service.start(state, api_port=port) == address
    with pytest.raises(PlatformError, match="runs already"):
        service.start(state, api_port=port + 1 if port < 65535 else port - 1)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Options(admin=True), "admin=False, not True"),
        (Options(rate_limit="documented"), "rate_limit='generous', not 'documented'"),
        (Options(idle_s=90), "idle_s=3600, not 90"),
        (Options(bind="0.0.0.0"), "bind='127.0.0.1', not '0.0.0.0'"),
    ],
)
def test_a_running_platform_that_is_otherwise_than_asked_is_refused(state, asked, words):
    """Nobody is told that a limit is in force which is not."""
    address = service.start(state, options=Options(idle_s=3600))
    assert service.start(state) == service.start(state, options=Options(idle_s=3600)) == address
    with pytest.raises(PlatformError, match="runs already") as refused:
        service.start(state, options=asked)
    assert words in str(refused.value)
    assert f"createos-nb local down --state {state}" in str(refused.value)


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_that_is_none_is_refused_before_anything_starts(state, port):
    with pytest.raises(InvalidArgument, match=f"{port} is no port"):
        service.start(state, gateway_port=port)
    assert not state.exists()


def test_a_temporary_platform_leaves_nothing_when_the_process_that_started_it_is_killed():
    program = (
        "import os; from createos_nb.platform import service\n"
        "print(service.start(ephemeral=True).state_dir, flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    directory = Path(shown.stdout.strip())
    assert directory.name.startswith("createos-nb-"), shown.stderr
    eventually(lambda: not directory.exists())


def test_why_it_does_not_start_is_said(state):
    service.start(state)
    service.stop(state)
    database = sqlite3.connect(state / "platform.sqlite")
    database.execute(f"PRAGMA user_version = {VERSION + 1}")
    database.close()
    with pytest.raises(PlatformError, match="another version of createos-nb"):
        service.start(state)


def test_a_lost_database_is_not_replaced_by_an_empty_one(state):
    service.start(state)
    service.stop(state)
    for path in state.glob("platform.sqlite*"):
        path.unlink()
    with pytest.raises(PlatformError, match="gone"):
        service.start(state)
    assert not (state / "platform.sqlite").exists()


@pytest.mark.parametrize("content", ["", "skp_local_wrong"])
def test_a_key_file_of_no_use_is_written_anew(state, content):
    first = service.start(state)
    user = user_of(first)
    service.stop(state)
    (state / "key").write_text(content)
    assert user_of(service.start(state)) == user
    assert mode(state / "key") == 0o600


def test_a_lost_key_file_is_the_first_users_again_though_there_are_others(state):
    first = service.start(state)
    user = user_of(first)
    headers = {"X-Api-Key": first.api_key().reveal()}
    httpx.post(f"{first.api_url}/local/users", json={"username": "bob"}, headers=headers, trust_env=False)
    service.stop(state)
    (state / "key").unlink()
    assert user_of(service.start(state)) == user


def test_a_directory_with_other_files_is_not_used_and_not_deleted(state):
    state.mkdir()
    (state / "thesis.tex").write_text("years of work")
    (state / "lock").touch()
    with pytest.raises(PlatformError, match=r"thesis\.tex"):
        service.start(state)
    with pytest.raises(PlatformError, match="Nothing was deleted"):
        service.reset(state)
    assert (state / "thesis.tex").read_text() == "years of work"


def test_a_reset_stops_it_and_deletes_what_it_holds(state):
    address = service.start(state)
    service.reset(state)
    assert not state.exists()
    eventually(lambda: not psutil.pid_exists(address.pid))
    service.reset(state)
    assert user_of(service.start(state))


EPHEMERAL = """
    from createos_nb.platform import service

    print(service.start(None, ephemeral=True).pid, flush=True)
    input()
"""


@pytest.mark.parametrize("end", ["exit", "kill"])
def test_an_ephemeral_platform_ends_with_the_process_that_started_it(end):
    command = [sys.executable, "-c", textwrap.dedent(EPHEMERAL)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        platform = psutil.Process(int(starter.stdout.readline()))
        state = platform.cwd()
        if end == "kill":
            starter.kill()
        else:
            starter.stdin.write("\n")
    _, alive = psutil.wait_procs([platform], timeout=10)
    assert not alive
    assert end == "kill" or not os.path.exists(state)
    shutil.rmtree(state, ignore_errors=True)  # nobody is left to do it after a kill


def test_a_platform_outlives_the_process_that_started_it(state):
    code = "import pathlib, sys; from createos_nb.platform import service; service.start(pathlib.Path(sys.argv[1]))"
    command = [sys.executable, "-W", "error", "-c", code, str(state)]
    started = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (started.returncode, started.stderr) == (0, "")
    assert user_of(service.status(state))


def test_its_log_holds_no_key(state):
    address = service.start(state)
    key = address.api_key().reveal()
    for headers in ({"X-Api-Key": key}, {"X-Api-Key": key + "x"}, {"Authorization": key}):
        httpx.get(f"{address.api_url}/v1/users/me?key={key}", headers=headers, trust_env=False)
    service.stop(state)
    assert key not in (state / "platform.log").read_text()


def test_a_stopped_platform_leaves_nothing_in_the_way_of_the_next(state):
    """Many starts and stops: no process, and no zombie of one, is left."""
    for _ in range(3):
        address = service.start(state)
        service.stop(state)
        eventually(lambda pid=address.pid: not psutil.pid_exists(pid))
