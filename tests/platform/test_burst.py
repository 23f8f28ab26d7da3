"""Many who ask at once for what sleeps (SAFETY G07): it is started once, and not all may wait."""

from __future__ import annotations

import os
import select
import socket
from contextlib import ExitStack, closing
from urllib.parse import urlsplit

import psutil
import pytest

from createos_nb.platform.sleep import MAX_WAITING
from tests.platform.conftest import echo, eventually
from tests.platform.puppet import Answer, room_for

BEFORE = """
import http.server, os, time
http.server.ThreadingHTTPServer.request_queue_size = 1024
with open({directory!r} + "/starts", "a") as starts:
    starts.write(str(os.getpid()) + chr(10))
while os.path.exists({directory!r} + "/hold"):
    time.sleep(0.01)
"""


class Sleeper:
    """An application that writes down when it is started, and is slow to listen while a file is there."""

    def __init__(self, site, directory):
        self.site, self.directory = site, directory
        self.deployment_id = site.deploy(echo(before=BEFORE.format(directory=str(directory)))).id
        site.live(self.deployment_id)
        self.endpoint = urlsplit(site.environment.extra.endpoint)

    def started(self):
        return (self.directory / "starts").read_text().split()

    def sleep(self):
        """Put it to sleep, and wait until its processes are gone."""
        last = int(self.started()[-1])
        self.site.client.deployments.delete(self.site.project_id, self.deployment_id)
        eventually(lambda: not psutil.pid_exists(last))

    def ask(self, open_ones):
        """Send a request, and return the connection on which the answer will come."""
        connection = open_ones.enter_context(closing(socket.create_connection(("127.0.0.1", self.endpoint.port))))
        connection.settimeout(60)
        head = f"GET / HTTP/1.1\r\nHost: {self.endpoint.hostname}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode())
        return connection


@pytest.fixture
def sleeper(site, tmp_path):
    return Sleeper(site, tmp_path)


def read(connection):
    received = b""
    while part := connection.recv(65_536):
        received += part
    return Answer(received)


def test_a_burst_of_requests_starts_what_sleeps_once(sleeper, figures):
    """Of SAFETY's 500 cycles a few; CREATEOS_NB_SOAK=1 makes them all."""
    cycles, burst = (500 if os.environ.get("CREATEOS_NB_SOAK") else 3), 20
    twice = 0
    for _ in range(cycles):
        sleeper.sleep()
        before = len(sleeper.started())
        with ExitStack() as open_ones:
            asked = [sleeper.ask(open_ones) for _ in range(burst)]
            answers = [read(connection) for connection in asked]
        assert [answer.status for answer in answers] == [200] * burst
        new = sleeper.started()[before:]
        twice += len(new) > 1
        assert {str(answer.seen()["pid"]) for answer in answers} == set(new)
    with figures():
        print(f"\nG07: {cycles} bursts of {burst} requests for what slept: started twice {twice}")
    assert twice == 0


def test_of_those_who_wait_for_one_that_is_slow_to_listen_not_more_than_so_many_wait(sleeper):
    sleeper.sleep()
    before, hold, more = len(sleeper.started()), sleeper.directory / "hold", 20
    room_for(MAX_WAITING + more)
    hold.touch()
    with ExitStack() as open_ones:
        asked = [sleeper.ask(open_ones) for _ in range(MAX_WAITING + more)]
        eventually(lambda: len(_told(asked)) >= more)
        refused = _told(asked)
        assert len(refused) == more
        for connection in refused:
            answer = read(connection)
            assert answer.status == 503
            assert b"requests wait for it. Try again in a moment." in answer.body
        hold.unlink()
        assert {read(connection).status for connection in asked if connection not in refused} == {200}
    assert len(sleeper.started()) == before + 1


def _told(asked):
    """Those to which something was answered."""
    poll = select.poll()
    for connection in asked:
        poll.register(connection, select.POLLIN)
    numbers = {number for number, _ in poll.poll(0)}
    return [connection for connection in asked if connection.fileno() in numbers]
