"""An archive of what really runs on the embedded platform, on disk and in an object store."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import fsspec
import httpx
import ibis
import pytest

from createos_nb import metrics, schema
from createos_nb.api.client import Client
from createos_nb.archive import Archive, collection
from createos_nb.archive.layout import Part
from createos_nb.archive.store import Store
from createos_nb.archive.tables import LOGS, TABLES, TRAFFIC
from createos_nb.endpoints import reach
from createos_nb.errors import CreateOSError, InvalidArgument, MissingExtra, PartialAnswer, PartialWarning
from createos_nb.extras import EXTRAS
from createos_nb.timerange import TimeRange, utc
from createos_nb.workspace import Workspace

WINDOWED = ["summary", "top_hit_paths", "top_error_paths", "request_distribution"]
MOVED_AT_MOST_S = 4 * 86_400
PATHS = ["/", "/products", "/nowhere", "/products"]


@pytest.fixture
def later(platform, monkeypatch):
    """A workspace whose clock can be moved, so that what has just happened is over and settled."""
    # The platform's own clock does not move with it, so that lines are further back than it thinks.
    monkeypatch.setattr(collection, "LOGS_MARGIN_S", MOVED_AT_MOST_S)
    with Client(platform.api_url, api_key=platform.api_key()) as client:

        def at(minutes):
            clock = client._driver.clock
            clock._offset_s, clock._learnt_s = 60.0 * minutes, float("inf")
            return Workspace(client)

        yield at


@pytest.fixture(params=["disk", "memory"])
def place(request, tmp_path):
    """Where an archive is: a directory, or an object store."""
    if request.param == "disk":
        yield str(tmp_path / "history")
        return
    name = f"memory://{tmp_path.name}"
    yield name
    fsspec.filesystem("memory").store.clear()


def visit(shop, paths, environment="production"):
    address, headers = reach(shop.environment(environment).extra.endpoint)
    with httpx.Client(base_url=address, headers=headers, trust_env=False) as visitor:
        return [visitor.get(path).status_code for path in paths]


def contents(place):
    """Every file below a place that belongs to the archive, with its bytes."""
    store = Store(place)
    return {path: store.read(path) for path in store.find() if Part.of(path)}


def test_what_was_really_asked_for_is_in_the_archive_once(later, shop, place):
    shop.upload(1)
    statuses = Counter(visit(shop, PATHS * 5))
    prod = later(10)[f"{shop.project}/production"]
    window = TimeRange(prod.api.now() - timedelta(hours=1), prod.api.now())
    archive = later(10).archive(place)

    written = schema.COLLECTED.check(archive.collect(prod, since=window))
    assert set(written["table"]) == set(TABLES)
    kept = archive.traffic().to_pandas()
    total = metrics.success_share(TRAFFIC.kind.take(kept, TRAFFIC.kind.names))
    assert total["requests"].sum() == statuses.total()
    assert not kept["partial"].any()
    assert kept["status_2xx"].sum() == statuses[200]
    assert kept["status_4xx"].sum() == statuses[404]
    answered = archive.questions.summary(archive.traffic()).to_pandas()
    assert answered["requests"].tolist() == [statuses.total()]
    top = archive.questions.top_paths(archive.top_hit_paths()).to_pandas().set_index("path")["requests"]
    assert top.to_dict() == Counter(PATHS * 5)
    shares = archive.questions.status_distribution(archive.request_distribution()).to_pandas()
    assert dict(zip(shares["status"], shares["requests"], strict=True)) == {
        str(status): count for status, count in statuses.items()
    }
    assert archive.summary().to_pandas()["requests"].sum() == statuses.total()
    assert archive.deployments().to_pandas()["version"].tolist() == ["v1"]
    lines = archive.logs().order_by("at", "line").to_pandas()
    assert lines["raw"].tolist() == prod.logs(since="1h")["raw"].tolist()
    assert lines["at"].notna().all()

    # All of the window is settled by now.
    collected = archive.collect(later(20)[f"{shop.project}/production"], since=window)
    assert set(collected["table"]) <= {"traffic", "logs", *WINDOWED}
    assert collected["end"].max() <= utc(window.end_s)
    before = contents(place)
    assert archive.collect(later(20)[f"{shop.project}/production"], since=window).empty
    assert archive.traffic().requests.sum().to_pandas() == statuses.total()
    assert contents(place) == before


def test_a_later_run_goes_on_where_the_last_one_ended(later, shop, tmp_path):
    shop.upload(1)
    statuses = Counter(visit(shop, PATHS * 3))
    chosen = f"{shop.project}/production"
    archive = Archive(tmp_path / "history")
    archive.collect(later(10)[chosen], since="30m")
    first = archive.traffic().to_pandas()

    # However short `since` is, no gap is left.
    archive.collect(later(95)[chosen], since="1m")
    kept = archive.traffic().order_by("timestamp").to_pandas()
    assert len(kept) > len(first) + 80
    steps = kept["timestamp"].diff().dropna().unique()
    assert [step.total_seconds() for step in steps] == [60.0]
    assert kept["requests"].sum() == statuses.total()
    raw = archive.logs().order_by("at", "line").to_pandas()["raw"].tolist()
    assert raw == later(0)[chosen].logs(since="1h")["raw"].tolist()


class FiveMinutes(http.server.BaseHTTPRequestHandler):
    """A platform that sums its requests to five minutes: seven in each that it was asked for the beginning of."""

    def do_GET(self):
        query = {name: int(values[0]) for name, values in parse_qs(urlsplit(self.path).query).items()}
        rows = [
            {"timestamp": at, "count": 7, "status2xx": 7, "status3xx": 0, "status4xx": 0, "status5xx": 0}
            for at in range(-(-query["start"] // 300) * 300, query["end"], 300)
        ]
        content = json.dumps({"status": "success", "data": rows}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def five_minutes():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), FiveMinutes) as server:
        threading.Thread(target=server.serve_forever).start()
        with Client(f"http://127.0.0.1:{server.server_port}", api_key="a-key") as client:
            yield client
        server.shutdown()


def test_there_is_no_hole_at_a_seam_though_the_intervals_are_longer_than_a_minute(five_minutes, tmp_path, shop):
    [one] = Workspace(shop.client)[f"{shop.project}/production"].targets()
    store, noon = Store(str(tmp_path)), 1_767_268_800
    for start, end in [(noon + 1090, noon + 2000), (noon + 50, noon + 1090), (noon + 2000, noon + 3600)]:
        collection.traffic(store, five_minutes, one, collection.Wanted(start, end, resumes=False))
    kept = Archive(tmp_path).traffic().order_by("timestamp").to_pandas()
    seconds = [int(at.timestamp()) - noon for at in kept["timestamp"]]
    assert seconds == list(range(0, 3600, 300))


def test_what_lies_before_the_archive_can_be_collected_later(later, shop, tmp_path):
    ws = later(10)
    prod = ws[f"{shop.project}/production"]
    archive = Archive(tmp_path / "history")
    now = ws.api.now()
    archive.collect(prod, since="10m")
    archive.collect(prod, since=TimeRange(now - timedelta(hours=3), now))
    kept = archive.traffic().order_by("timestamp").to_pandas()
    assert [step.total_seconds() for step in kept["timestamp"].diff().dropna().unique()] == [60.0]
    assert len(kept) >= 176


def test_a_day_that_is_over_becomes_one_file_of_the_same_rows(later, shop, tmp_path):
    shop.upload(1)
    visit(shop, PATHS)
    chosen = f"{shop.project}/production"
    archive = Archive(tmp_path / "history")
    for minutes in (10, 20, 30):
        archive.collect(later(minutes)[chosen], since="1h")
    rows = {name: getattr(archive, name)().count().to_pandas() for name in TABLES}
    lines = archive.logs().to_pandas()["raw"].tolist()

    archive.collect(later(2 * 24 * 60)[chosen], since="1h")
    assert archive.traffic().requests.sum().to_pandas() == len(PATHS)
    assert sorted(archive.logs().to_pandas()["raw"].tolist()) == sorted(lines)
    assert archive.summary().count().to_pandas() > rows["summary"]
    store = Store(tmp_path / "history")
    counted = [part for part in map(Part.of, store.find("traffic")) if part]
    first = min(part.day for part in counted)
    whole = [part for part in counted if part.day == first and part.end_s == first + 86_400]
    assert whole
    # Those that it was made of stay an hour for whoever is reading, then they go.
    for path in (tmp_path / "history").rglob("*.parquet"):
        os.utime(path, (0, 0))
    before = archive.traffic().order_by("timestamp").to_pandas()
    archive.collect(later(2 * 24 * 60)[chosen], since="1h")
    left = [part for part in map(Part.of, store.find("traffic")) if part and part.day == first]
    assert len(left) == 1
    assert archive.traffic().order_by("timestamp").to_pandas().equals(before)


def test_an_environment_that_fails_is_told_and_the_others_are_kept(later, shop, client, tmp_path):
    ws = later(10)
    both = ws[f"{shop.project}/*"]
    client.environments.delete(shop.project_id, shop.environment_ids["staging"])
    while len(client.environments.list(shop.project_id)) > 1:
        pass
    archive = Archive(tmp_path / "history")
    with pytest.warns(PartialWarning, match=r"1 of 2 targets failed, such as [\w-]+/\w+: "):
        written = archive.collect(both)
    assert set(written["environment"].dropna()) == {"production"}
    assert not written["complete"].any()
    assert ws.errors()["environment"].tolist() == ["staging"]
    with pytest.raises(PartialAnswer):
        archive.collect(both, strict=True)


PLAIN = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print("asked for", self.path, flush=True)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def test_no_line_of_an_application_that_writes_no_time_is_lost(later, shop, tmp_path):
    shop.upload(1, main__py=PLAIN)
    ws = later(0)
    prod = ws[f"{shop.project}/production"]
    archive = Archive(tmp_path / "history")
    asked = []
    for run in range(3):
        paths = [f"/{run}/{number}" for number in range(20)]
        visit(shop, paths)
        asked += paths
        archive.collect(prod, since="10m")
    archive.collect(later(1)[f"{shop.project}/production"])
    table = archive.logs()
    kept = table.filter(table.message.startswith("asked for /")).order_by("at", "line").to_pandas()
    assert set(kept["message"]) >= {f"asked for {path}" for path in asked}
    assert kept["timestamp"].isna().all()
    assert kept["at"].notna().all()


def test_two_processes_at_once_collect_everything_once(platform, later, shop, home, tmp_path):
    shop.upload(1)
    statuses = visit(shop, PATHS * 4)
    code = f"""
import createos_nb as cos
from createos_nb.archive import collection
collection.LOGS_MARGIN_S = {MOVED_AT_MOST_S}
ws = cos.connect()
clock = ws.api._driver.clock
clock._offset_s, clock._learnt_s = 600.0, float("inf")
ws.archive({str(tmp_path / "history")!r}).collect(ws["{shop.project}/*"], since="2h")
"""
    environment = os.environ | {
        "CREATEOS_API_URL": platform.api_url,
        "CREATEOS_API_KEY_FILE": str(platform.key_file),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    runs = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(2)]
    assert [run.wait(120) for run in runs] == [0, 0]
    archive = Archive(tmp_path / "history")
    kept = archive.traffic().to_pandas()
    assert not kept.duplicated(["environment", "timestamp"]).any()
    assert kept["requests"].sum() == len(statuses)
    raw = archive.logs().filter(ibis._.environment == "production").to_pandas()["raw"].tolist()
    assert sorted(raw) == sorted(later(0)[f"{shop.project}/production"].logs(since="1h")["raw"])


def test_no_secret_reaches_the_archive(later, shop, platform, tmp_path):
    secret = "hunter2-canary-in-a-variable"
    shop.client.environments.update_variables(
        shop.project_id, shop.environment_ids["production"], run_envs={"TOKEN": secret}
    )
    shop.upload(1)
    visit(shop, PATHS)
    archive = Archive(tmp_path / "history")
    archive.collect(later(10)[f"{shop.project}/*"])
    held = b"".join(path.read_bytes() for path in (tmp_path / "history").rglob("*") if path.is_file())
    told = [
        str(row)
        for name, table in TABLES.items()
        for path, content in contents(tmp_path / "history").items()
        if path.startswith(f"{name}/")
        for row in table.decode(content).to_pylist()
    ]
    assert told
    for text in (secret, platform.api_key().reveal() if hasattr(platform.api_key(), "reveal") else "skp_local_"):
        assert text.encode() not in held
        assert not any(text in row for row in told)


# --- what needs no platform ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", TABLES)
def test_an_empty_archive_has_tables_without_rows(tmp_path, name):
    frame = getattr(Archive(tmp_path), name)().to_pandas()
    assert len(frame) == 0
    assert list(frame.columns) == [*(column.name for column in TABLES[name].columns), "day"]


@pytest.mark.parametrize(
    "name", ["123", "007", "a/b", "../../etc", "x'y\"z", "é 💥", "2026-01-01", "NULL", "null", "%2F", "*"]
)
def test_names_come_back_as_they_were(place, name):
    store = Store(place)
    row = schema.sample("REQUESTS_OVER_TIME").assign(project=name, environment=name)
    part = Part("traffic", name, name, 1_795_435_200, 1_795_438_800)
    store.put(part.path, TRAFFIC.encode(row))
    table = Archive(place).traffic()
    kept = table.filter(table.project == name, table.environment == name).to_pandas()
    TRAFFIC.kind.check(kept.drop(columns=["day", "at_s"]))
    assert kept.drop(columns=["day", "at_s"]).equals(row)
    assert kept["at_s"].tolist() == [int(at.timestamp()) for at in row["timestamp"]]
    assert set(kept["day"].astype(str)) == {"2026-11-23"}


def test_a_question_about_one_day_of_one_project_opens_its_files_alone(tmp_path):
    store = Store(tmp_path)
    for project in ("shop", "blog"):
        for day in range(3):
            at = 1_795_392_000 + day * 86_400
            part = Part("traffic", project, "production", at, at + 86_400)
            store.put(part.path, TRAFFIC.encode(schema.sample("REQUESTS_OVER_TIME")))
    archive = Archive(tmp_path)
    table = archive.traffic()
    asked = table.filter(table.project == "shop", table.day == datetime(2026, 11, 23, tzinfo=UTC).date())
    plan = archive._duckdb.raw_sql(f"EXPLAIN ANALYZE {archive._duckdb.compile(asked)}").fetchall()[0][1]
    assert "1/6" in plan


def test_a_write_that_is_cut_off_leaves_what_was_there(tmp_path, monkeypatch):
    store = Store(tmp_path)
    path = Part("traffic", "shop", "production", 1_795_435_200, 1_795_438_800).path
    store.put(path, b"old")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CreateOSError, match=r"No space left.*collect again"):
        store.put(path, b"new and longer")
    assert store.read(path) == b"old"
    assert len(list(tmp_path.rglob("*.parquet*"))) == 1


def test_a_place_in_the_home_is_there_wherever_one_is(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Store("~/history")._root == f"{tmp_path}/history"


@pytest.mark.parametrize("where", ["", 5, None, b"history"], ids=repr)
def test_what_is_no_place_at_all_is_refused_with_an_example(where):
    with pytest.raises(InvalidArgument, match="such as 'history'"):
        Archive(where)


@pytest.mark.parametrize(
    "where", ["s3://key:secret@bucket/x", "s3://bucket/x?key=secret", "a*b", "no-such-store://x"]
)
def test_a_place_that_is_none_is_refused_without_repeating_a_secret(where):
    with pytest.raises(InvalidArgument) as raised:
        Archive(where)
    assert "secret" not in str(raised.value)


def test_without_the_libraries_one_line_says_what_to_install(ws, monkeypatch, tmp_path):
    monkeypatch.setitem(EXTRAS, "archive", ("no_such_library",))
    with pytest.raises(MissingExtra, match=r"pip install 'createos-nb\[archive\]'"):
        ws.archive(tmp_path)


def test_a_workspace_loads_none_of_the_archives_libraries():
    code = "import sys, createos_nb as cos; cos.connect; cos.Workspace; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"ibis", "duckdb"} & set(told.split())


def test_a_time_is_kept_as_its_whole_second_too_cut_off_and_not_rounded():
    at = [datetime(2026, 11, 23, 12, 59, 59, 999_999, tzinfo=UTC), datetime(2026, 11, 23, 13, tzinfo=UTC)]
    lines = schema.LOGS.frame([{"project": "p", "environment": "e", "raw": "x"}] * 2)
    kept = LOGS.decode(LOGS.encode(lines.assign(at=at, line=[1, 2]).astype({"at": "datetime64[us, UTC]"})))
    assert kept["at_s"].to_pylist() == [int(at[1].timestamp()) - 1, int(at[1].timestamp())]


def test_lines_that_overlap_are_joined_without_doubling_any():
    lines = schema.LOGS.frame([{"project": "p", "environment": "e", "raw": str(n)} for n in range(4)])
    at = [datetime(2026, 11, 23, 12, minute, tzinfo=UTC) for minute in range(4)]
    whole = lines.assign(at=at, line=range(1, 5)).astype({"at": "datetime64[us, UTC]"})
    joined = LOGS.join(
        [LOGS.encode(whole.iloc[:3]), LOGS.encode(whole.iloc[1:])], [at[2] + timedelta(minutes=1), at[3]]
    )
    assert LOGS.decode(joined)["raw"].to_pylist() == ["0", "1", "2", "3"]


@pytest.mark.parametrize("selection", ["shop/production", None], ids=str)
def test_what_is_no_selection_is_refused_with_an_example(tmp_path, ws, selection):
    with pytest.raises(InvalidArgument, match=r"Pass a selection, such as ws\[:\], and not"):
        ws.archive(tmp_path / "archive").collect(selection)


def test_tables_of_two_archives_can_be_put_together(tmp_path, ws, shop):
    shop.upload(1)
    prod = ws[f"{shop.project}/production"]
    for place in ("here", "there"):
        ws.archive(tmp_path / place).collect(prod, since="1h")
    here, there = (ws.archive(tmp_path / place).deployments() for place in ("here", "there"))
    assert here.union(there).count().execute() == 2 * here.count().execute() == 2
    assert here.join(ws.archive(tmp_path / "here").deployments(), "deployment_id").count().execute() == 1


def test_two_threads_ask_an_archive_each(tmp_path, ws, shop):
    shop.upload(1)
    prod = ws[f"{shop.project}/production"]
    archives = [ws.archive(tmp_path / place) for place in ("here", "there")]
    for archive in archives:
        archive.collect(prod, since="1h")

    def asked(archive):
        return [len(archive.deployments().to_pandas()) for _ in range(40)]

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(asked, archives)) == [[1] * 40] * 2
