from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from createos_nb.errors import LeaseHeld
from createos_nb.plans.lease import lease

HERE = "https://api.example"
HOLD = (
    "import sys; from createos_nb.plans.lease import lease\n"
    "with lease('https://api.example', 'p', 'e', 'rollback shop/production'):\n"
    "    print('held', flush=True); sys.stdin.read()"
)


@pytest.fixture
def holder():
    """Another process that holds the lease until its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def held(environment="e", *, platform=HERE, project="p"):
    try:
        with lease(platform, project, environment, "scale"):
            return False
    except LeaseHeld:
        return True


def test_another_process_is_held_off_and_told_by_whom(holder):
    with (
        pytest.raises(LeaseHeld, match=rf"rollback shop/production, process {holder.pid}, since 20\d\d-"),
        lease(HERE, "p", "e", "scale"),
    ):
        pytest.fail("two held it")


def test_only_the_same_environment_of_the_same_platform_is_held(holder):
    assert held()
    assert not held("other")
    assert held(None)  # the whole project
    assert not held(project="other")
    assert not held(platform="http://127.0.0.1:1")


def test_the_lease_of_a_killed_process_is_free_at_once(holder):
    assert held()
    holder.kill()
    holder.wait()
    assert not held()


def test_a_suspended_holder_still_holds(holder):
    os.kill(holder.pid, 19)
    assert held()
    os.kill(holder.pid, 18)


def test_the_same_process_is_held_off_too():
    with lease(HERE, "p", "e", "one"):
        assert held()
        answers: list[bool] = []
        thread = threading.Thread(target=lambda: answers.append(held()))
        thread.start()
        thread.join()
        assert answers == [True]
    assert not held()


def test_a_failure_inside_ends_the_lease():
    with pytest.raises(ZeroDivisionError), lease(HERE, "p", "e", "one"):
        raise ZeroDivisionError
    assert not held()


def test_one_of_many_at_once_gets_it():
    barrier, inside, most = threading.Barrier(8), [], []
    lock = threading.Lock()

    def race():
        barrier.wait()
        for _ in range(25):
            try:
                with lease(HERE, "p", "e", "race"):
                    with lock:
                        inside.append(1)
                        most.append(len(inside))
                    with lock:
                        inside.pop()
            except LeaseHeld:
                pass

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most
    assert max(most) == 1


def test_a_note_that_cannot_be_read_is_no_reason_to_enter(holder, home):
    for note in (home / "leases").rglob("*.json"):
        note.write_text("{")
    assert held()
