"""The request budget: real files, real processes, time that is only counted."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from bisect import bisect_left
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from createos_nb.api.budget import DOCUMENTED, HOUR_S, MINUTE_S, MOST_STOCK, Budget
from createos_nb.api.client import Client
from createos_nb.api.driver import Driver
from createos_nb.api.exchange import send
from createos_nb.api.message import Request, Response
from createos_nb.api.pace import Pace
from createos_nb.api.retries import Retries
from createos_nb.errors import InvalidArgument, OutcomeUnknown, RateLimited, ServerError

PATIENT = Pace(patience_s=7200)


class Clock:
    def __init__(self, now=1_000_000.0):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def budget(tmp_path, clock):
    return Budget(tmp_path / "budget.sqlite3", clock=clock)


def request(safety="read", operation="GetProject", *, costs=False):
    return Request(operation, "GET", "/v1/things", "/v1/things", safety, costs=costs)


UPLOAD = request("creates", "UploadDeploymentFiles")


def response(status=200, **headers):
    body = json.dumps({"status": "success" if status < 400 else "fail", "data": {"id": "1"}}).encode()
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def most_within(times, length):
    """The largest number of events in any half-open window of this length."""
    times = sorted(times)
    return max((bisect_left(times, at + length) - place for place, at in enumerate(times)), default=0)


# --- places -------------------------------------------------------------------------------------------


def test_a_place_is_free_until_the_minute_is_full_and_the_next_is_booked_in_advance(budget):
    waits = [budget.reserve(request("idempotent"), PATIENT)[0] for _ in range(DOCUMENTED.minute + 2)]
    assert waits[: DOCUMENTED.minute] == [0.0] * DOCUMENTED.minute
    assert MINUTE_S < waits[-2] == waits[-1] <= MINUTE_S + 3


def test_a_wait_beyond_the_patience_is_refused_at_once_and_books_nothing(budget, clock):
    for _ in range(100):
        budget.reserve(request("idempotent"), PATIENT)
    for _ in range(3):
        with pytest.raises(RateLimited, match=r"minute of this key is used up; .* UTC, in 6\d s") as raised:
            budget.reserve(request("idempotent"), Pace(patience_s=20))
        assert 55 < (raised.value.retry_at - datetime.now(UTC)).total_seconds() < 65
    clock.now += 63
    assert budget.reserve(request("idempotent"), Pace(patience_s=0))[0] == 0


def test_uploads_have_a_window_of_their_own(budget):
    for _ in range(DOCUMENTED.uploads):
        assert budget.reserve(UPLOAD, PATIENT)[0] == 0
    with pytest.raises(RateLimited, match="minute's uploads of this key"):
        budget.reserve(UPLOAD, Pace(patience_s=1))
    assert budget.reserve(request(), Pace(patience_s=0))[0] == 0


def test_background_leaves_a_fifth_to_people_and_everybody_leaves_a_reserve_to_changes(budget):
    def taken(what, pace):
        count = 0
        while True:
            try:
                budget.reserve(what, pace)
            except RateLimited:
                return count
            count += 1

    assert taken(request(), Pace("background", 0)) == 80
    assert taken(request(), Pace("interactive", 0)) == 15
    assert taken(request("idempotent"), Pace("interactive", 0)) == 5


def test_a_place_that_is_given_back_can_be_had_again(budget):
    for _ in range(99):
        budget.reserve(request("idempotent"), PATIENT)
    _, place = budget.reserve(request("idempotent"), PATIENT)
    budget.release(request("idempotent"), place)
    assert budget.reserve(request("idempotent"), Pace(patience_s=0))[0] == 0


PLENTY = response(x_ratelimit_limit="600000")


def booked(budget):
    return budget.state()["minute"]["limit"] - budget.state()["minute"]["remaining"]


def test_where_places_are_plenty_a_second_is_written_down_once(tmp_path, clock):
    mine, theirs = (Budget(tmp_path / "b.sqlite3", clock=clock) for _ in range(2))
    mine.learn(PLENTY)
    for _ in range(MOST_STOCK):
        assert mine.reserve(request(), PATIENT) == (0, int(clock.now))
    assert booked(mine) == booked(theirs) == MOST_STOCK, "known to others before any is used"
    mine.reserve(request(), PATIENT)
    assert booked(theirs) == 2 * MOST_STOCK
    clock.now += 1
    mine.reserve(request(), PATIENT)
    assert booked(theirs) == 3 * MOST_STOCK, "what was not used in its second is not used later"
    mine.reserve(UPLOAD, PATIENT)
    assert booked(theirs) == 3 * MOST_STOCK + 1, "uploads have no stock"


def test_where_places_are_few_none_is_booked_that_is_not_asked_for(tmp_path, clock):
    budget = Budget(tmp_path / "b.sqlite3", clock=clock)
    budget.reserve(request(), PATIENT)
    assert booked(budget) == 1, "of a hundred a minute"
    budget.learn(response(x_ratelimit_limit="12000"))
    for _ in range(6_020):
        budget.reserve(request(), PATIENT)
        clock.now += 0.0001
    assert 6_000 <= (half := booked(budget)) < 6_100
    for asked in range(1, 20):
        clock.now += 1
        budget.reserve(request(), PATIENT)
        assert booked(budget) == half + asked, "over half of what there is, each is booked by itself"


def test_a_refusal_ends_the_stock(tmp_path, clock):
    budget = Budget(tmp_path / "b.sqlite3", clock=clock)
    budget.learn(PLENTY)
    assert budget.reserve(request(), PATIENT)[0] == 0
    budget.learn(Response(429, {"retry-after": "7"}, b""))
    assert budget.reserve(request(), PATIENT)[0] == pytest.approx(7, abs=1)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 0, 0.3, 7, 61, 900]),
            st.integers(1, 60),
            st.sampled_from([request(), request("idempotent"), UPLOAD]),
            st.sampled_from(["interactive", "background"]),
        ),
        max_size=25,
    )
)
def test_no_window_is_ever_overfull_whoever_asks_for_whatever_and_whenever(script):
    clock = Clock()
    budget = Budget(None, clock=clock)
    sent, uploads = [], []
    for pause, count, what, lane in script:
        clock.now += pause
        for _ in range(count):
            try:
                wait, _ = budget.reserve(what, Pace(lane, 7200))
            except RateLimited:
                continue
            sent.append(clock.now + wait)
            if what is UPLOAD:
                uploads.append(clock.now + wait)
    assert most_within(sent, MINUTE_S) <= DOCUMENTED.minute
    assert most_within(sent, HOUR_S) <= DOCUMENTED.hour
    assert most_within(uploads, MINUTE_S) <= DOCUMENTED.uploads


# --- shared by processes (SAFETY H04) -------------------------------------------------------------------

WORKER = """
import random, sys, threading
from functools import partial
from operator import itemgetter
from pathlib import Path
from createos_nb.api.budget import Budget
from createos_nb.api.message import Request
from createos_nb.api.pace import Pace
from createos_nb.errors import RateLimited

path, until, seed = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
lines, lock = [], threading.Lock()

# Each has its own time, which passes only where it waits. All open their budget before anybody begins: one that is
# opened hours behind the others takes their places for those of before a restart of the machine.
times = [[1_000_000.0] for _ in range(8)]
budgets = [Budget(path, clock=partial(itemgetter(0), now)) for now in times]
for budget in budgets: budget.state()

def work(number):
    now, budget, dice = times[number], budgets[number], random.Random(f"{seed} {number}")
    while now[0] < until:
        upload = dice.random() < 0.02
        name, safety = ("UploadDeploymentZip", "creates") if upload else ("GetProject", "read")
        try:
            wait, _ = budget.reserve(Request(name, "GET", "/", "/", safety), Pace("interactive", 7200))
        except RateLimited:
            break
        now[0] += wait
        # Every request is under way for another time.
        with lock:
            lines.append(f"{now[0] + dice.random() * 0.9} {int(upload)}")
    if not budget.state()["shared"]:
        print(budget.state()["reason"], file=sys.stderr)

print("ready", flush=True)
sys.stdin.readline()
threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("\\n".join(lines))
"""


def test_processes_and_threads_on_one_key_are_never_refused_and_leave_little_unused(tmp_path, figures):
    """Of SAFETY's 16 processes of 8 threads over 3 hours a part; CREATEOS_NB_SOAK=1 takes them all."""
    processes, hours = (16, 3) if os.environ.get("CREATEOS_NB_SOAK") else (4, 1.5)
    command = [sys.executable, "-c", WORKER, str(tmp_path / "b.sqlite3"), str(1_000_000 + hours * HOUR_S)]
    running = [
        subprocess.Popen([*command, str(seed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for seed in range(processes)
    ]
    assert [process.stdout.readline() for process in running] == ["ready\n"] * processes
    for process in running:
        process.stdin.write("go\n")
        process.stdin.close()
    outputs = [process.stdout.read() for process in running]
    for process in running:
        process.wait(timeout=60)
        process.stdout.close()
    assert [process.returncode for process in running] == [0] * processes
    rows = [line.split() for output in outputs for line in output.splitlines() if line]
    times = [float(at) for at, _ in rows if float(at) <= 1_000_000 + hours * HOUR_S]
    uploads = [float(at) for at, upload in rows if upload == "1"]
    assert most_within(times, MINUTE_S) <= DOCUMENTED.minute
    assert most_within(times, HOUR_S) <= DOCUMENTED.hour
    assert most_within(uploads, MINUTE_S) <= DOCUMENTED.uploads
    worst = [most_within(times, MINUTE_S), most_within(times, HOUR_S), most_within(uploads, MINUTE_S)]
    used = len(times) / (DOCUMENTED.hour * math.ceil(hours))
    with figures():
        print(f"\nH04: {processes} processes of 8 threads, {hours} h: at most {worst} in a window, {used:.0%} used")
    # The first hour's places are all taken in its first ten minutes, the second hour's in its.
    assert len(times) >= 0.9 * DOCUMENTED.hour * math.ceil(hours)


# --- learning (SAFETY H02, H03) -------------------------------------------------------------------------

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
DATE = "Tue, 24 Nov 2026 12:00:00 GMT"
RESET = str(int(NOW.timestamp()) + 30)


@pytest.mark.parametrize("skew_s", [0, 3600, -3600, 86_400, -86_400])
def test_what_an_answer_announces_replaces_what_is_documented_whatever_the_servers_clock(budget, skew_s):
    date = datetime.fromtimestamp(NOW.timestamp() + skew_s, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    reset = str(int(NOW.timestamp() + skew_s) + 30)
    budget.learn(
        response(x_ratelimit_limit="6000", x_ratelimit_remaining="5999", x_ratelimit_reset=reset, date=date)
    )
    state = budget.state()
    assert (state["minute"]["limit"], state["hour"]["limit"], state["uploads"]["limit"]) == (6000, 60_000, 600)
    assert state["limits"] == "announced"


def test_a_window_of_an_hour_is_known_by_its_end(budget):
    reset = str(int(NOW.timestamp()) + 1800)
    budget.learn(response(x_ratelimit_limit="500", x_ratelimit_reset=reset, date=DATE))
    assert budget.state()["hour"]["limit"] == 500
    assert budget.state()["minute"]["limit"] == 50


def test_an_hours_window_is_not_a_minutes_in_its_last_minute(budget):
    """Else the budget would be ten times too large, and what is used of the hour be taken for the minute's."""

    def said(limit, remaining, ends_in_s):
        reset = str(int(NOW.timestamp()) + ends_in_s)
        budget.learn(
            response(x_ratelimit_limit=limit, x_ratelimit_remaining=remaining, x_ratelimit_reset=reset, date=DATE)
        )

    said("1000", "300", 30)
    assert (budget.state()["minute"], budget.state()["hour"]["limit"]) == ({"limit": 100, "remaining": 100}, 1000)
    said("500", "400", 1800)
    said("500", "300", 30)
    assert budget.state()["minute"] == {"limit": 50, "remaining": 50}


@pytest.mark.parametrize("limit", ["0", "-5", "1e30", "NaN", "inf", "many", ""])
def test_a_limit_that_cannot_be_true_changes_nothing(budget, limit):
    budget.learn(response(x_ratelimit_limit=limit, x_ratelimit_remaining="3", date=DATE))
    assert budget.state()["minute"]["limit"] == 100
    assert budget.state()["limits"] == "documented"


def test_what_others_use_of_the_key_is_counted(budget):
    budget.reserve(request(), PATIENT)
    budget.learn(response(x_ratelimit_limit="100", x_ratelimit_remaining="10", x_ratelimit_reset=RESET, date=DATE))
    assert budget.state()["minute"]["remaining"] == 10


def test_nothing_is_written_where_nothing_new_is_said(budget, tmp_path):
    said = response(x_ratelimit_limit="6000", x_ratelimit_remaining="5000", x_ratelimit_reset=RESET, date=DATE)
    budget.learn(said)
    before = budget._database.total_changes
    for _ in range(50):
        budget.learn(said)
    assert budget._database.total_changes == before


@pytest.mark.parametrize(
    ("asked", "least_s"),
    [
        ("7", 7),
        ("Tue, 24 Nov 2026 12:00:09 GMT", 9),
        ("-3", 0),
        ("0", 0),
        ("1e10", HOUR_S),
        ("NaN", 0),
        ("soon", 0),
        ("", 0),
        ("7, 9", 0),
    ],
)
@pytest.mark.parametrize(
    "more", [{}, {"x_ratelimit_limit": "100", "x_ratelimit_remaining": "0"}], ids=["", "limits"]
)
def test_after_a_refusal_nobody_sends_earlier_than_the_platform_asks(budget, clock, asked, least_s, more):
    others = Budget(budget._path, clock=clock)
    budget.learn(response(429, retry_after=asked, date=DATE, **more))
    wait, _ = others.reserve(request("idempotent"), PATIENT)
    assert wait >= least_s
    if least_s > 20:
        with pytest.raises(RateLimited):
            others.reserve(request("idempotent"), Pace(patience_s=20))


def test_what_was_learnt_is_forgotten_after_a_day_and_after_a_restart_of_the_machine(tmp_path, clock):
    budget = Budget(tmp_path / "b.sqlite3", clock=clock)
    budget.learn(response(x_ratelimit_limit="6000", x_ratelimit_reset=RESET, date=DATE))
    clock.now += 25 * HOUR_S
    assert budget.state()["limits"] == "documented"
    for _ in range(100):
        budget.reserve(request("idempotent"), PATIENT)
    restarted = Budget(tmp_path / "b.sqlite3", clock=Clock(100.0))
    assert restarted.reserve(request("idempotent"), Pace(patience_s=0))[0] == 0


# --- when the file cannot be ----------------------------------------------------------------------------


def test_a_file_that_cannot_be_used_makes_the_budget_of_this_process_alone_and_says_so(tmp_path, clock):
    (tmp_path / "b.sqlite3").write_bytes(b"not a database" * 100)
    budget = Budget(tmp_path / "b.sqlite3", clock=clock)
    assert budget.reserve(request(), PATIENT)[0] == 0
    state = budget.state()
    assert state["shared"] is False
    assert "cannot be used" in state["reason"]


def test_a_home_that_cannot_be_made_does_not_stop_anybody(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CREATEOS_NB_HOME", str(tmp_path / "file" / "home"))
    with Client("http://127.0.0.1:1", api_key="skp_local_x") as client:
        assert client.info()["budget"]["shared"] is False


def test_the_file_tells_nothing_of_the_key_and_is_its_owners(home):
    with Client("http://127.0.0.1:1", api_key="skp_local_canary") as client:
        client.info()
        (file,) = (home / "budget").glob("*.sqlite3")
        assert file.stat().st_mode & 0o077 == 0
        assert "canary" not in file.name
        assert b"canary" not in file.read_bytes()


def test_two_clients_of_one_key_share_a_budget_and_one_of_another_key_does_not():
    with (
        Client("http://127.0.0.1:1", api_key="skp_local_a") as one,
        Client("http://127.0.0.1:1", api_key="skp_local_a") as two,
        Client("http://127.0.0.1:1", api_key="skp_local_b") as other,
    ):
        one._driver.budget.reserve(request(), PATIENT)
        assert two.info()["budget"]["minute"]["remaining"] == 99
        assert other.info()["budget"]["minute"]["remaining"] == 100


def test_a_paced_client_shares_connections_and_budget():
    with Client("http://127.0.0.1:1", api_key="skp_local_a") as client:
        patient = client.paced(patience_s=600)
        assert patient._driver.transport is client._driver.transport
        assert patient._driver.budget is client._driver.budget
        assert (patient._driver.pace, client._driver.pace) == (Pace("background", 600), Pace())
        with pytest.raises(InvalidArgument, match="lane='fast' is refused"):
            client.paced(lane="fast")
        with pytest.raises(InvalidArgument, match="patience_s=-1 is refused"):
            client.paced(patience_s=-1)


# --- further attempts (SAFETY H06) ----------------------------------------------------------------------


class Broken:
    """A transport to a server that only ever answers one thing."""

    name = "rest"

    def __init__(self, answer):
        self.answer = answer
        self.sent = Counter()

    def check(self, request):
        """Refuse nothing."""

    def send(self, request):
        self.sent[request.operation] += 1
        return self.answer

    def close(self):
        pass


@pytest.fixture
def no_waiting(monkeypatch):
    monkeypatch.setattr("createos_nb.api.driver.time.sleep", lambda _seconds: None)


@pytest.mark.usefixtures("no_waiting")
def test_a_dead_server_gets_hardly_more_requests_than_there_are_calls():
    transport = Broken(response(503))
    driver = Driver(transport, Budget(None), Pace(patience_s=7200))
    calls = 50
    for _ in range(calls):
        with pytest.raises(ServerError):
            driver.run(send(request()))
    assert transport.sent["GetProject"] <= 1.2 * calls


@pytest.mark.usefixtures("no_waiting")
def test_a_server_that_ails_after_it_was_well_is_asked_again():
    transport = Broken(response(200))
    driver = Driver(transport, Budget(None), Pace(patience_s=7200))
    for _ in range(50):
        driver.run(send(request()))
    transport.answer = response(503)
    with pytest.raises(ServerError):
        driver.run(send(request()))
    assert transport.sent["GetProject"] == 53
    for _ in range(9):
        with pytest.raises(ServerError):
            driver.run(send(request()))
    assert transport.sent["GetProject"] - 50 <= 1.2 * 10


def test_further_attempts_are_earned_by_answers_and_end():
    retries = Retries()
    for _ in range(1000):
        retries.earn(response(200))
    assert sum(retries.take() for _ in range(100)) == 2


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("status", [502, 504])
def test_a_proxy_that_gives_up_leaves_a_change_unknown(status):
    driver = Driver(Broken(response(status)), Budget(None))
    with pytest.raises(OutcomeUnknown, match=f"HTTP {status}"):
        driver.run(send(UPLOAD))
    with pytest.raises(ServerError):
        driver.run(send(request()))


@pytest.mark.usefixtures("no_waiting")
def test_what_costs_money_is_never_sent_twice():
    transport = Broken(response(429, retry_after="0", date=DATE))
    driver = Driver(transport, Budget(None))
    with pytest.raises(RateLimited):
        driver.run(send(request("creates", "BuyProjectTemplate", costs=True)))
    assert transport.sent["BuyProjectTemplate"] == 1


def test_an_interrupted_wait_gives_its_place_back(monkeypatch):
    budget = Budget(None)
    for _ in range(95):
        budget.reserve(request(), PATIENT)
    driver = Driver(Broken(response()), budget, Pace(patience_s=7200))

    def interrupted(_seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr("createos_nb.api.driver.time.sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        driver.run(send(request()))
    (later,) = budget._database.execute(
        "SELECT coalesce(sum(n), 0) FROM spent WHERE second > ?", [time.monotonic() + 5]
    )
    assert later == (0,)
