from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections import Counter

import duckdb
import pytest

from createos_nb.errors import PlatformError
from createos_nb.platform import rollup
from createos_nb.platform.accesslog import AccessLog, AccessRecord
from createos_nb.platform.gateway.recorder import Recorder

NOON = 1_800_000_000  # a whole minute
PATHS = ["/", "/products", "/products/1", "/cart", "/checkout", *(f"/page/{n}" for n in range(12))]
STATUSES = [101, 200, 201, 204, 301, 304, 400, 404, 499, 500, 502, 503]


@pytest.fixture
def recorder(tmp_path):
    """What the gateway records with."""
    recorder = Recorder(tmp_path / "requests")
    yield recorder
    recorder.close()


@pytest.fixture
def log(tmp_path, recorder):
    log = AccessLog(tmp_path / "access.duckdb", tmp_path / "requests")
    yield log
    log.close()


def a_record(**changes):
    record = {
        "environment_id": "env",
        "at": NOON + 0.5,
        "deployment_id": "dep",
        "replica": 0,
        "method": "GET",
        "path": "/",
        "status": 200,
        "duration_ms": 1.5,
        "bytes_sent": 10,
    }
    return {**record, **changes}


def known_traffic(seed, count=3_000):
    chance = random.Random(seed)
    return [
        AccessRecord(
            environment_id=chance.choice(["env", "env", "other", None]),
            at=NOON + chance.uniform(-300, 900),
            deployment_id=chance.choice(["dep-1", "dep-2", None]),
            replica=chance.choice([0, 1, None]),
            method=chance.choice(["GET", "POST"]),
            path=chance.choice(PATHS),
            status=chance.choice(STATUSES),
            duration_ms=chance.uniform(0, 100),
            bytes_sent=chance.randrange(10_000),
        )
        for _ in range(count)
    ]


def independently(records, start, end):
    """The eight answers in plain Python."""
    rows = [row for row in records if row.environment_id == "env" and start <= row.at < end]
    status = Counter(row.status for row in rows)
    minutes = Counter(int(row.at // 60) * 60 for row in rows)

    def of_class(number, chosen=rows):
        return sum(row.status // 100 == number for row in chosen)

    def top(counts):
        return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:10]

    over_time = []
    minute = start - start % 60
    while minute < end:
        inside = [row for row in rows if minute <= row.at < minute + 60]
        over_time.append((minute, len(inside), *(of_class(number, inside) for number in (2, 3, 4, 5))))
        minute += 60
    return {
        "overall": (len(rows), of_class(2), of_class(4), of_class(5)),
        "rpm": (max(minutes.values(), default=0), len(rows) / ((end - start) / 60)),
        "success": (of_class(2) + of_class(3)) / len(rows) * 100 if rows else 0,
        "over_time": over_time,
        "hits": top(Counter(row.path for row in rows)),
        "errors": top(Counter((row.path, str(row.status)) for row in rows if row.status >= 400)),
        "distribution": sorted((str(code), count) for code, count in status.items()),
    }


def from_the_log(log, start, end):
    window = ("env", start, end)
    overall, rpm = log.overall_requests(*window), log.rpm(*window)
    return {
        "overall": (overall.total, overall.success, overall.client, overall.server),
        "rpm": (rpm.peak, pytest.approx(rpm.average)),
        "success": pytest.approx(log.success_percentage(*window).success_percentage),
        "over_time": [
            (row.timestamp, row.count, row.status2xx, row.status3xx, row.status4xx, row.status5xx)
            for row in log.requests_over_time(*window)
        ],
        "hits": [(row.path, row.count) for row in log.top_hit_paths(*window)],
        "errors": [((row.path, row.status), row.count) for row in log.top_error_paths(*window)],
        "distribution": [(row.status, row.count) for row in log.request_distribution(*window)],
    }


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (NOON, NOON + 600),
        (NOON + 17, NOON + 433),
        (NOON + 30, NOON + 31),
        (NOON - 10_000, NOON + 10_000),
        (NOON + 5_000, NOON + 5_600),
    ],
    ids=["aligned", "not aligned", "one second", "everything", "without requests"],
)
@pytest.mark.parametrize("seed", range(3))
def test_every_number_equals_an_independent_computation(log, recorder, seed, start, end):
    records = known_traffic(seed)
    for record in records:
        recorder.record(**record._asdict())
    expected = independently(records, start, end)
    assert from_the_log(log, start, end) == expected

    together = log.analytics("env", start, end)
    assert together.overall_requests == log.overall_requests("env", start, end)
    assert together.rpm == log.rpm("env", start, end)
    assert together.success_percentage == pytest.approx(expected["success"])
    assert together.top_hit_paths == log.top_hit_paths("env", start, end)
    assert together.top_error_paths == log.top_error_paths("env", start, end)
    assert together.request_distribution == log.request_distribution("env", start, end)


def test_a_request_counts_as_soon_as_it_is_recorded(log, recorder):
    for number in range(1, 50):
        recorder.record(**a_record())
        assert log.overall_requests("env", NOON, NOON + 60).total == number


def test_the_windows_start_is_in_and_its_end_is_not(log, recorder):
    for at in (NOON - 0.001, NOON, NOON + 59.999, NOON + 60):
        recorder.record(**a_record(at=at))
    assert log.overall_requests("env", NOON, NOON + 60).total == 2


def test_every_minute_has_a_row_also_those_without_requests(log, recorder):
    recorder.record(**a_record(at=NOON + 130))
    rows = log.requests_over_time("env", NOON + 1, NOON + 299)
    assert [row.timestamp for row in rows] == [NOON + 60 * n for n in range(5)]
    assert [row.count for row in rows] == [0, 0, 1, 0, 0]


def test_a_query_is_not_part_of_a_path(log, recorder):
    recorder.record(**a_record(path="/search?q=1"))
    recorder.record(**a_record(path="/search?q=2"))
    assert [(row.path, row.count) for row in log.top_hit_paths("env", NOON, NOON + 60)] == [("/search", 2)]


def test_a_path_that_looks_like_sql_is_only_a_path(log, recorder):
    path = "/'; drop table requests; --"
    recorder.record(**a_record(path=path, environment_id="env'; --", status=500))
    assert log.top_error_paths("env'; --", NOON, NOON + 60)[0].path == path


def test_without_a_time_a_record_is_of_now(log, recorder):
    recorder.record(**a_record(at=None))
    assert log.overall_requests("env", NOON, 2**33).total + log.overall_requests("env", 0, NOON).total == 1


def test_records_arrive_on_disk_by_themselves(recorder, tmp_path):
    recorder.record(**a_record(path="/by-itself"))
    [file] = (tmp_path / "requests").iterdir()
    assert b"/by-itself" in file.read_bytes()


def test_nothing_is_lost_between_many_threads_and_the_writer(log, tmp_path):
    """Who records goes on from file to file while others ask."""
    recorder = Recorder(tmp_path / "requests", segment_bytes=20_000)
    recorded = threading.Event()
    seen: list[list[int]] = [[] for _ in range(4)]

    def ask(totals):
        while not recorded.is_set():
            totals.append(log.overall_requests("env", NOON, NOON + 60).total)

    threads = [threading.Thread(target=ask, args=(totals,)) for totals in seen]
    for thread in threads:
        thread.start()
    for number in range(20_000):
        recorder.record(**a_record())
        if not number % 100:
            time.sleep(0)
    recorded.set()
    for thread in threads:
        thread.join()
    assert all(totals == sorted(totals) for totals in seen)
    assert log.overall_requests("env", NOON, NOON + 60).total == 20_000
    assert len(list((tmp_path / "requests").iterdir())) == 1, "what was taken over is deleted"
    recorder.close()


def test_records_survive_a_restart(tmp_path):
    for number in range(1, 4):
        recorder = Recorder(tmp_path / "requests")
        log = AccessLog(tmp_path / "access.duckdb", tmp_path / "requests")
        recorder.record(**a_record())
        assert log.overall_requests("env", NOON, NOON + 60).total == number
        recorder.close()
        log.close()
    recorder = Recorder(tmp_path / "requests")
    recorder.record(**a_record())
    recorder.close()
    log = AccessLog(tmp_path / "access.duckdb", tmp_path / "requests")
    assert log.overall_requests("env", NOON, NOON + 60).total == 4
    log.close()


def test_no_record_is_lost_with_a_gateway_that_is_killed(log, tmp_path):
    program = f"""
import os, pathlib, signal
from createos_nb.platform.gateway.recorder import Recorder
recorder = Recorder(pathlib.Path({str(tmp_path / "requests")!r}))
for n in range(2000):
    recorder.record(**{a_record()!r})
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    assert log.overall_requests("env", NOON, NOON + 60).total == 2_000


def test_flushed_records_survive_a_killed_platform(tmp_path, recorder):
    for _ in range(2_000):
        recorder.record(**a_record())
    path = tmp_path / "access.duckdb"
    program = f"""
import os, pathlib, signal
from createos_nb.platform.accesslog import AccessLog
log = AccessLog(pathlib.Path({str(path)!r}), pathlib.Path({str(tmp_path / "requests")!r}))
log.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    # They are taken over, and those of the gateway's file do not count twice.
    log = AccessLog(path, tmp_path / "requests")
    assert log.overall_requests("env", NOON, NOON + 60).total == 2_000
    recorder.record(**a_record())
    assert log.overall_requests("env", NOON, NOON + 60).total == 2_001
    log.close()


def test_a_line_that_a_full_disk_cut_off_costs_that_record_alone(log, recorder, tmp_path):
    recorder.record(**a_record())
    recorder.close()
    [file] = (tmp_path / "requests").iterdir()
    with file.open("ab") as lines:
        lines.write(b"env\t18\nenv\tx\tdep\t0\tGET\t/\xff\t200\t1\t1\n\n" + file.read_bytes() + b"env\t1800")
    assert log.overall_requests("env", NOON, NOON + 60).total == 2


def test_a_platform_killed_while_it_made_the_file_starts_again(tmp_path):
    path = tmp_path / "access.duckdb"
    path.touch()  # as DuckDB leaves it when it is killed between making the file and writing to it
    path.with_suffix(".new").write_bytes(b"half of a header")
    log = AccessLog(path)
    log.extend([AccessRecord(**a_record())])
    assert log.analytics("env", NOON, NOON + 60).overall_requests.total == 1
    log.close()
    assert [path.name for path in tmp_path.glob("access*")] == ["access.duckdb"]


def test_a_made_up_history_counts_and_is_marked(log, recorder, tmp_path):
    log.extend(AccessRecord(**a_record(at=NOON + number / 1000)) for number in range(1_000))
    recorder.record(**a_record())
    assert log.overall_requests("env", NOON, NOON + 60).total == 1_001
    log.close()
    with duckdb.connect(str(tmp_path / "access.duckdb")) as database:
        counts = database.execute("select generated, count(*) from requests group by 1 order by 1").fetchall()
    assert counts == [(False, 1), (True, 1_000)]


def rolled_up(log):
    """Whether the roll-up says what the records say, and in how many rows."""
    differences = """
        with rolled as (select environment_id, minute, path, status, sum(requests)::bigint as n
                        from hits group by all),
             counted as (select environment_id, arrived_us // 60_000_000, path, status, count(*) as n
                         from requests group by all)
        (from rolled except from counted) union all (from counted except from rolled)
    """
    [(rows,)] = log._database.execute("select count(*) from hits").fetchall()
    return log._database.execute(differences).fetchall() == [], rows


def test_the_roll_up_says_what_the_records_say_whatever_becomes_of_them(tmp_path, monkeypatch):
    monkeypatch.setattr(rollup, "_LEAST_PARTS", 500)
    log, rows = AccessLog(tmp_path / "access.duckdb"), []
    for _ in range(6):
        log.extend(known_traffic(1, count=400))
        same, count = rolled_up(log)
        assert same
        rows.append(count)
    assert rows != sorted(rows), "it was never tidied"
    assert log.forget(NOON + 100) > 0
    assert rolled_up(log)[0]
    answers = log.analytics("env", NOON - 250, NOON + 801)
    log.close()
    # What an older version wrote has none.
    with duckdb.connect(str(tmp_path / "access.duckdb")) as database:
        database.execute("drop table hits")
    log = AccessLog(tmp_path / "access.duckdb")
    assert rolled_up(log)[0]
    assert log.analytics("env", NOON - 250, NOON + 801) == answers
    log.close()


def test_records_that_cannot_be_written_wait_until_they_can(log, recorder, monkeypatch):
    add, broken = log._rollup.add, [True]

    def full(source):
        if broken:
            raise duckdb.IOException("No space left on device")
        add(source)

    monkeypatch.setattr(log._rollup, "add", full)
    recorder.record(**a_record())
    with pytest.raises(duckdb.IOException):
        log.flush()
    broken.clear()
    assert log.overall_requests("env", NOON, NOON + 60).total == 1
    assert rolled_up(log)[0]


def test_a_damaged_file_is_refused_and_kept(tmp_path):
    path = tmp_path / "access.duckdb"
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(PlatformError, match="move the file away"):
        AccessLog(path)
    assert path.read_bytes().startswith(b"not a database")
