"""Logs of a real application on the embedded platform, followed while it writes them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pandas as pd
import pytest

import createos_nb as cos
from createos_nb import schema
from createos_nb.api.client import Client
from createos_nb.errors import InvalidArgument
from createos_nb.platform import service
from createos_nb.platform.admin import Admin
from createos_nb.workspace import Workspace
from tests.platform.conftest import echo, make_site

COUNT = 3000
WRITER = f"""
import http.server, os, threading, time

def write():
    time.sleep(4)
    for number in range({COUNT}):
        print(f"line {{number}}")
        if number % 3 == 0:
            print("equal")
        if number == 1000:
            for _ in range(2000):
                print("burst")
        if number % 10 == 0:
            time.sleep(0.02)
    print("the end", flush=True)

threading.Thread(target=write, daemon=True).start()
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), http.server.BaseHTTPRequestHandler).serve_forever()
"""


def eventually(what, *, within_s=120.0):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if value := what():
            return value
        time.sleep(0.05)
    pytest.fail(f"It did not come true within {within_s:g} s.")


@pytest.fixture
def prod(ws, shop):
    return ws[f"{shop.project}/production"]


@pytest.fixture
def following(prod):
    """Begin to follow, and see to it that it ends."""
    begun = []

    def follow(**options):
        begun.append(prod.follow(**options))
        return begun[-1]

    yield follow
    for follower in begun:
        follower.stop()


def lines(frame):
    return list(frame.loc[frame["gap"].isna(), "raw"])


def test_everything_an_application_writes_is_there_once_and_in_order(shop, following):
    follower = following(since="1m")
    seen = []
    follower.observe(seen.append)
    shop.upload(main__py=WRITER)
    read = []
    for row in follower:
        read.append(row.raw)
        if row.raw == "the end":
            break
    frame = schema.FOLLOWED.check(follower.frame())
    assert list(frame["gap"].dropna()) == []
    written = lines(frame)[lines(frame).index("line 0") :]
    assert [line for line in written if line.startswith("line ")] == [f"line {number}" for number in range(COUNT)]
    assert Counter(written)["equal"] == COUNT // 3
    assert Counter(written)["burst"] == 2000
    assert read == lines(frame)[: len(read)]
    assert lines(pd.concat(seen)) == lines(frame)
    assert frame["complete"].all()


def test_a_second_call_returns_the_running_one_with_its_history(ws, shop, prod, following):
    follower = following()
    assert ws[f"{shop.project}/production"].follow() is follower
    follower.stop()
    assert following() is not follower


def test_stop_ends_the_loop_and_the_threads_at_once(following, monkeypatch, figures):
    monkeypatch.setattr("createos_nb.follow.follower.pause_s", lambda **_: 600.0)
    follower = following()
    eventually(lambda: follower.state()["pause_s"].iloc[0] == 600)
    began = time.monotonic()
    follower.stop()
    assert list(follower) == []
    for thread in follower._threads:
        thread.join(30)
    took = time.monotonic() - began
    assert took < 60, "not the 600 s of its pause"
    with figures():
        print(f"A follower ended {took:.2f} s after stop() (asked: 1)")
    assert not follower.running
    assert not any(thread.is_alive() for thread in follower._threads)
    assert "It was stopped." in repr(follower)


def test_an_environment_that_is_gone_ends_it_with_a_row_that_says_so(client, shop, following):
    follower = following()
    eventually(lambda: follower.state()["looks"].iloc[0])
    client.environments.delete(shop.project_id, shop.environment_ids["production"])
    last = list(follower)[-1]
    assert last.gap == "ended"
    assert "Following ended" in last.message
    assert list(schema.FOLLOWERS.check(follower.state())["state"]) == ["ended"]
    assert not follower.frame()["complete"].iloc[-1]


def test_an_observer_that_fails_takes_nothing_from_the_others(shop, following):
    follower = following()
    good = []

    def bad(frame):
        raise RuntimeError("the widget is gone")

    follower.observe(bad)
    end = follower.observe(good.append)
    shop.upload()
    eventually(lambda: good)
    end()
    eventually(lambda: follower.state()["looks"][0] > 2)
    assert "the widget is gone" in follower.state()["reason"][0]
    with pytest.raises(RuntimeError, match="the widget is gone"):
        follower.observe(bad)
    assert lines(pd.concat(good)) == lines(follower.frame())[: len(lines(pd.concat(good)))]


def test_of_a_small_buffer_the_newest_rows_are_kept_and_the_frame_says_so(shop, following):
    follower = following(keep=5)
    shop.upload(main__py=WRITER)
    eventually(lambda: "the end" in lines(follower.frame()))
    frame = follower.frame()
    assert lines(frame)[-1] == "the end"
    assert not frame["complete"].any()


@pytest.mark.parametrize("options", [{"since": "2h"}, {"keep": 0}, {"keep": "a"}, {"since": "soon"}], ids=str)
def test_what_cannot_be_followed_is_refused(prod, options):
    with pytest.raises(InvalidArgument):
        prod.follow(**options)


def test_an_interrupt_ends_the_loop_at_once(platform, shop, tmp_path):
    code = (
        "import sys, createos_nb as cos\n"
        f"ws = cos.connect({platform.api_url!r})\n"
        f"follower = ws['{shop.project}/production'].follow()\n"
        "try:\n"
        "    print('ready', flush=True)\n"
        "    for row in follower: pass\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', follower.running, flush=True)\n"
    )
    variables = {**os.environ, "CREATEOS_API_KEY": platform.api_key().reveal()}
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=variables)
    try:
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGINT)
        # Nothing else would end it: the application is silent.
        assert child.stdout.readline() == "interrupted True\n"
    finally:
        child.kill()
        child.communicate()


@pytest.fixture
def faulty(tmp_path):
    """A platform that can be made to fail, and an application on it that writes a number every 0.1 s."""
    ws = cos.local(state=tmp_path / "state", ephemeral=True, admin=True)
    site = make_site(ws.api, "site")
    written = "import threading, time\n"
    written += (
        "def count():\n    for n in range(10**6):\n        print('line', n, flush=True)\n        time.sleep(0.1)\n"
    )
    written += "threading.Thread(target=count, daemon=True).start()\n"
    site.live(site.deploy({"main.py": written + echo(1)["main.py"]}).id)
    yield site, Admin(ws.api)
    ws.api.close()
    service.stop(tmp_path / "state")


def numbers(raw):
    return [int(line.removeprefix("line ")) for line in raw if line.startswith("line ")]


@pytest.mark.parametrize(
    "fault", [{"status": 503}, {"headers": {"content-type": "text/html"}}], ids=["503", "a page"]
)
def test_a_follower_that_has_to_wait_at_first_begins_where_it_was_begun(faulty, fault):
    site, admin = faulty
    with Client(site.client.settings.api_url, api_key=site.client.settings.credential.reveal()) as client:
        selected = Workspace(client)["site/production"]
        assert len(selected.targets()) == 1
        eventually(lambda: site.client.environments.logs(*site.target, since_seconds=5))
        admin.plan_fault(operation="GetProjectEnvironmentLogs", times=1, **fault)
        follower = selected.follow(since="1s")
        try:
            eventually(lambda: admin.faults() == [])
            text = site.client.environments.logs(*site.target, since_seconds=60)  # when it had to begin to wait
            found = eventually(lambda: numbers(lines(follower.frame())))
            assert follower.state()["gaps"].sum() == 0
            assert found == list(range(found[0], found[-1] + 1))
            assert found[0] <= numbers(text.splitlines())[-1] + 1
        finally:
            follower.stop()
