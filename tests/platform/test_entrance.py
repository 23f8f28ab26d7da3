"""The gateway's own process: it may be killed, stopped and started again, and it ends with its platform."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import threading
from contextlib import closing, contextmanager, suppress

import psutil
import pytest

from createos_nb.platform import service
from tests.platform.conftest import echo, eventually, gone, is_platforms, make_site
from tests.platform.puppet import wait_for_end

KILLS = 200 if os.environ.get("CREATEOS_NB_SOAK") else 10


@pytest.fixture
def live(own):
    """A site that answers, on a platform of the test's own."""
    site = make_site(own.start(), "entrance")
    site.live(site.deploy(echo()).id)
    assert site.visit().status_code == 200
    return site


def gateway(own):
    """The gateway's process, once there is one."""

    def found():
        children = psutil.Process(own.address.pid).children()
        return [child for child in children if is_platforms(child) and "keeper.py" not in " ".join(child.cmdline())]

    [process] = eventually(found)
    return process


@contextmanager
def stopped(process):
    """A process that does nothing at all meanwhile."""
    process.suspend()
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):  # A test may have killed it, and the platform noticed.
            process.resume()


def test_a_gateway_that_is_killed_is_started_again_on_its_port_and_no_new_connection_is_refused(live, own, figures):
    """What was under way is cut; whoever comes after that waits for a moment. No record is lost."""
    host, port = live.environment.extra.endpoint.removeprefix("http://").split(":")
    answered, cut, ended = [], [], threading.Event()

    def ask():
        while not ended.is_set():
            with closing(http.client.HTTPConnection("127.0.0.1", int(port), timeout=20)) as connection:
                connection.connect()  # A refusal is a failure.
                try:
                    connection.request("GET", "/", headers={"Host": host})
                    answered.append(connection.getresponse().status)
                except (http.client.HTTPException, ConnectionError):
                    cut.append(1)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    before = live.client.analytics.overall_requests(*live.target).total
    for thread in threads:
        thread.start()
    pids = set()
    for _ in range(KILLS):
        process = gateway(own)
        pids.add(process.pid)
        so_far = len(answered)
        eventually(lambda so_far=so_far: len(answered) > so_far + 5)
        process.kill()
        eventually(lambda process=process: gone([process]))
    so_far = len(answered)
    eventually(lambda: len(answered) > so_far + 5)
    ended.set()
    for thread in threads:
        thread.join()
    assert len(pids) == KILLS
    assert set(answered) == {200}
    assert len(cut) <= 2 * KILLS
    recorded = live.client.analytics.overall_requests(*live.target).total - before
    with figures():
        print(f"\ngateway killed {KILLS} times: {len(answered)} answered, {len(cut)} cut, {recorded} recorded")
    assert len(answered) <= recorded <= len(answered) + len(cut)


def test_the_api_answers_while_the_gateway_does_nothing_and_requests_wait(live, own):
    answers = []
    with stopped(gateway(own)):
        asking = threading.Thread(target=lambda: answers.append(live.visit().status_code))
        asking.start()
        assert live.client.environments.get(*live.target).project_deployment_id
        assert live.client.analytics.overall_requests(*live.target).total == 1
        assert not answers
    asking.join(20)
    assert answers == [200]


def test_what_changes_while_the_gateway_is_gone_the_next_one_knows(live, own):
    process = gateway(own)
    with stopped(process):
        second = live.begin(echo(2))
        live.live(second)
        process.kill()
    assert live.visit().json()["version"] == 2
    assert gateway(own).pid != process.pid


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_a_gateway_ends_with_its_platform_and_leaves_its_port(live, own, how):
    process, port = gateway(own), int(own.address.gateway_url.rpartition(":")[2])
    with closing(socket.create_connection(("127.0.0.1", port))) as waiting:
        if how == "killed":
            os.kill(own.address.pid, signal.SIGKILL)
        else:
            service.stop(own.state)
        eventually(lambda: gone([process]))
        assert wait_for_end(waiting), "in order, or by a reset where the gateway had not taken it yet"
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
    again = own.again(live)
    assert int(own.address.gateway_url.rpartition(":")[2]) == port, "addresses outlive a restart"
    again.live()
    eventually(lambda: again.visit().status_code == 200)
    assert again.client.analytics.overall_requests(*again.target).total >= 2


def test_applications_inherit_nothing_of_the_gateway(live, own):
    """Neither its socket, which would keep the port, nor its side of the channel, which would keep it alive."""
    held = {
        os.readlink(f"/proc/{process.pid}/fd/{entry}")
        for process in (psutil.Process(own.address.pid), gateway(own))
        for entry in os.listdir(f"/proc/{process.pid}/fd")
        if int(entry) > 2
    }
    sockets = {target for target in held if target.startswith("socket:")}
    applications = [
        child for child in psutil.Process(own.address.pid).children(recursive=True) if not is_platforms(child)
    ]
    assert applications
    for application in applications:
        theirs = {os.readlink(f"/proc/{application.pid}/fd/{e}") for e in os.listdir(f"/proc/{application.pid}/fd")}
        assert not theirs & sockets
