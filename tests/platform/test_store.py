from __future__ import annotations

import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from createos_nb.api.account import User
from createos_nb.api.api_keys import APIKey
from createos_nb.api.deployments import Deployment
from createos_nb.api.environments import Environment
from createos_nb.api.projects import Project, UploadSettings
from createos_nb.api.secret import Secret
from createos_nb.errors import Conflict, NotFound, PlatformError, Unprocessable
from createos_nb.platform.store import VERSION, Store, digest

KILLS = 8


@pytest.fixture
def path(tmp_path):
    return tmp_path / "platform.sqlite"


@pytest.fixture
def store(path):
    store = Store(path)
    yield store
    store.close()


def project_of(store, name="shop", **values):
    """A project in the store, and its user."""
    user = next(iter(store.find(User)), None) or store.add(User, username="local", display_name="Local")
    return store.add(
        Project,
        user_id=user.id,
        unique_name=name,
        display_name="Shop",
        **{"type": "upload", "status": "active", "settings_json": UploadSettings(runtime="python"), **values},
    )


def environment_of(store, project_id, **values):
    return store.add(
        Environment,
        project_id=project_id,
        unique_name="production",
        display_name="Production",
        status="active",
        is_auto_promote_enabled=True,
        resources_json={"cpu": 200, "memory": 500, "replicas": 1},
        settings_json={},
        **values,
    )


def test_what_was_written_is_there_after_reopening(path):
    first = Store(path)
    project = project_of(first)
    first.close()
    second = Store(path, fresh=False)
    assert second.get(Project, project.id) == project
    second.close()


def test_secrets_come_back_and_stay_masked(store):
    settings = UploadSettings(run_envs={"TOKEN": Secret("open sesame")})
    project = project_of(store, settings_json=settings)
    assert project.settings.run_envs["TOKEN"].reveal() == "open sesame"
    assert "open sesame" not in repr(project)


def test_a_key_is_nowhere_in_the_file(path):
    store = Store(path)
    project = project_of(store)
    store.add(APIKey, user_id=project.user_id, name="mine", digest=digest("skp_local_open_sesame"))
    assert store.user_of_key("skp_local_open_sesame") is not None
    assert store.user_of_key("skp_local_open_sesam") is None
    store.close()
    assert b"sesame" not in path.read_bytes()


def test_an_expired_or_revoked_key_is_nobodys(store):
    user_id = project_of(store).user_id
    past, future = (datetime.now(UTC) + timedelta(seconds=seconds) for seconds in (-1, 60))
    store.add(APIKey, user_id=user_id, name="late", digest=digest("late"), expired_at=past)
    store.add(APIKey, user_id=user_id, name="gone", digest=digest("gone"), expired_at=future, revoked_at=past)
    store.add(APIKey, user_id=user_id, name="good", digest=digest("good"), expired_at=future)
    assert [store.user_of_key(key) is not None for key in ("late", "gone", "good")] == [False, False, True]


def test_a_name_is_taken_in_any_case(store):
    project_of(store, "shop")
    with pytest.raises(Conflict, match="taken"):
        project_of(store, "SHOP")


def test_a_deleted_projects_name_is_free(store):
    gone = project_of(store, "shop")
    store.change(Project, gone.id, status="deleted", deleted_at=datetime.now(UTC))
    assert project_of(store, "shop").id != gone.id


def test_what_is_not_there_is_named(store):
    with pytest.raises(NotFound, match="no project p-1"):
        store.get(Project, "p-1")


def test_nothing_is_deployed_to_a_project_that_is_being_deleted(store):
    project = project_of(store)
    store.change(Project, project.id, status="deleting")
    with pytest.raises(Unprocessable, match="deleting"):
        store.add_deployment(project, deployment_id="d-1", source={})
    assert store.find(Deployment) == []


def test_version_numbers_count_up_within_a_project(store):
    one, other = project_of(store, "shop"), project_of(store, "other")
    numbers = [
        store.add_deployment(project, deployment_id=f"d-{number}", source={}).version_number
        for number, project in enumerate((one, one, other, one))
    ]
    assert numbers == [1, 2, 1, 3]


def test_a_transaction_is_kept_whole_or_not_at_all(store):
    def write_and_fail():
        with store.transaction():
            store.remember("first", "written")
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - any would do
        write_and_fail()
    assert store.fact("first") is None


def test_a_commit_that_fails_leaves_nothing_and_does_no_harm_to_the_next(store, path):
    """Otherwise the transaction stays open, and everything later is acknowledged and lost."""

    def write_an_orphan():
        with store.transaction():
            store._connection.execute("PRAGMA defer_foreign_keys = ON")  # so that the commit finds it
            store.remember("with the orphan", "written")
            environment_of(store, "nobody's")

    with pytest.raises(sqlite3.IntegrityError):
        write_an_orphan()
    store.remember("afterwards", "written")
    # What is in the files now is what a crash would leave; nobody else may open them meanwhile.
    left = path.with_name("left.sqlite")
    for ending in ("", "-wal"):
        shutil.copy(f"{path}{ending}", f"{left}{ending}")
    with closing(sqlite3.connect(left)) as other:
        assert other.execute("SELECT name, value FROM facts").fetchall() == [("afterwards", "written")]


@pytest.mark.anyio
async def test_waiting_for_the_disk_ends(store):
    store.remember("a", "fact")
    await store.on_disk()


def test_what_stays_inside_is_not_part_of_the_models(store):
    project = project_of(store)
    secret = {"TOKEN": "open sesame"}
    environment = environment_of(store, project.id, live_variables_json=secret, wanted_deployment_id="d-1")
    assert "sesame" not in str(environment.wire())
    assert store.wanted(environment.id) == "d-1"
    assert store.live_variables(environment.id) == {"TOKEN": "open sesame"}


# --- files that cannot be used are left as they are ---------------------------------------------------------


def whole(path):
    store = Store(path)
    for number in range(50):
        project_of(store, f"shop-{number}")
    store.close()
    return path.read_bytes()


def newer(path, _content):
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version = {VERSION + 1}")
    database.commit()
    database.close()


DAMAGES = {
    "of a newer version": newer,
    "cut off": lambda path, content: path.write_bytes(content[: len(content) // 2]),
    "zeroed": lambda path, content: path.write_bytes(bytes(len(content))),
    "without its beginning": lambda path, content: path.write_bytes(b"\xff" * 100 + content[100:]),
    "with a page of noise": lambda path, content: path.write_bytes(
        content[:8192] + random.Random(1).randbytes(4096) + content[12288:]
    ),
    "of another program": lambda path, _content: path.write_text("not a database at all" * 100),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_file_that_is_no_good_is_refused_and_kept(path, damage):
    damage(path, whole(path))
    before = path.read_bytes()
    with pytest.raises(PlatformError, match=r"--state"):
        Store(path, fresh=False)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [None, b""], ids=["gone", "empty"])
def test_a_lost_file_is_not_replaced_by_an_empty_one(path, content):
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PlatformError, match="gone"):
        Store(path, fresh=False)
    assert not path.exists() or path.read_bytes() == b""


# --- kill -9 ------------------------------------------------------------------------------------------------

WRITER = """
    import sys
    from pathlib import Path
    from createos_nb.platform.store import Store

    store = Store(Path(sys.argv[1]))
    number = int(store.fact("last") or 0)
    while True:
        number += 1
        with store.transaction():
            store.remember(f"fact-{number}", "x" * (number % 3000))
            store.remember("last", str(number))
        print(number, flush=True)
"""


def test_a_killed_writer_loses_nothing_that_it_acknowledged(path):
    seeds = random.Random(20261123)
    acknowledged = 0
    for _ in range(KILLS):
        command = [sys.executable, "-c", textwrap.dedent(WRITER), str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            lines = [writer.stdout.readline()]
            time.sleep(seeds.uniform(0.0, 0.05))  # the moment of the kill is what the test varies
            writer.send_signal(signal.SIGKILL)
            lines += writer.stdout.readlines()
        acknowledged = int([line for line in lines if line.endswith("\n")][-1])
        store = Store(path, fresh=False)
        last = int(store.fact("last"))
        # The last one may be there though the kill came before it was acknowledged.
        assert acknowledged <= last <= acknowledged + 1
        assert all(store.fact(f"fact-{number}") is not None for number in range(1, last + 1))
        store.close()
    assert acknowledged > KILLS
