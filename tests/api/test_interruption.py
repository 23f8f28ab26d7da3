"""A client goes on after what cut its calls short: an interrupt, a cancellation, a fork, the end of a loop."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import time
from contextlib import suppress

import pytest
from starlette.responses import JSONResponse

from createos_nb.api.client import AsyncClient, Client
from createos_nb.errors import CreateOSError, ServerError
from tests.api.test_client import KEY, Recorder, serving

ROUNDS = 60


@pytest.fixture(scope="module")
def url():
    """Of a server that names the project it was asked for, and is in no need of being spared."""
    recorder = Recorder()
    texts = dict.fromkeys(("uniqueName", "displayName"), "shop") | {"type": "upload", "status": "active"}
    project = texts | {"settings": {}, "createdAt": "2026-11-27T00:00:00Z"}
    recorder.answer = lambda request: JSONResponse(
        {"status": "success", "data": project | {"id": request.url.path.rpartition("/")[2]}},
        headers={"X-RateLimit-Limit": "600000", "X-RateLimit-Remaining": "599999"},
    )
    with serving(recorder):
        yield recorder.url


def test_after_an_interrupt_the_next_call_gets_its_own_answer_and_the_budget_is_still_shared(url):
    def interrupt(*_):
        raise KeyboardInterrupt

    chance, interrupted = random.Random(7), 0
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with Client(url, api_key=KEY, patience_s=7200) as client:
            client.projects.get("p-first")
            for number in range(ROUNDS):
                try:
                    signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.001, 0.03))
                    # Python drops one that comes within a finaliser: then there is none to wait for.
                    until = time.monotonic() + 5
                    while time.monotonic() < until:
                        client.projects.get("p-cut-0")
                except KeyboardInterrupt:
                    interrupted += 1
                assert client.projects.get(f"p-{number:05}").id == f"p-{number:05}"
            assert client.info()["budget"]["shared"] is True
            assert interrupted > 0.9 * ROUNDS
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_after_a_cancellation_the_next_call_gets_its_own_answer(url):
    async def cancelled_often():
        chance = random.Random(7)
        async with AsyncClient(url, api_key=KEY, patience_s=7200) as client:

            async def ask():
                while True:
                    await client.projects.get("p-cut-1")

            for number in range(ROUNDS):
                with suppress(TimeoutError):
                    await asyncio.wait_for(ask(), chance.uniform(0.001, 0.03))
                assert (await client.projects.get(f"p-{number:05}")).id == f"p-{number:05}"

    asyncio.run(cancelled_often())


def test_a_forked_process_and_its_parent_get_their_own_answers(url):
    with Client(url, api_key=KEY, patience_s=60) as client:
        assert client.projects.get("p-00000").id == "p-00000"
        child = os.fork()
        mine = "p-older" if child else "p-child"
        right = False
        with suppress(Exception):
            right = all(client.projects.get(mine).id == mine for _ in range(20))
        if not child:
            os._exit(0 if right else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert right


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Loops end without closing them.
def test_an_awaiting_client_works_in_one_loop_after_another(url):
    client = AsyncClient(url, api_key=KEY)
    for number in range(3):
        assert asyncio.run(client.projects.get(f"p-{number:05}")).id == f"p-{number:05}"
    del client
    gc.collect()


def test_a_client_paced_otherwise_closes_nothing_of_the_one_it_came_from(url):
    with Client(url, api_key=KEY) as client:
        with client.paced() as other:
            assert other.projects.get("p-0000a").id == "p-0000a"
        assert client.projects.get("p-0000b").id == "p-0000b"
    with pytest.raises(CreateOSError, match="The client is closed"):
        client.projects.get("p-0000c")


def test_many_short_lived_clients_of_one_key_ask_a_dead_server_hardly_more_often_than_they_are_called():
    recorder = Recorder()
    with serving(recorder):
        recorder.answer = lambda _request: JSONResponse({"status": "error", "data": "down"}, status_code=503)
        for _ in range(20):
            with Client(recorder.url, api_key=f"{KEY}-dead") as client, suppress(ServerError):
                client.projects.get("p-00000")
    assert 20 <= len(recorder.seen) <= 22
