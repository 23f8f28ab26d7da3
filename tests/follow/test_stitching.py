"""Windows of a known stream, as a platform answers them, stitched together: beside the stream itself."""

from __future__ import annotations

import os
import random
from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from createos_nb.follow.matching import lines_of
from createos_nb.follow.stitching import LONGEST_S, Stitcher

LINES = int(os.environ.get("CREATEOS_NB_FOLLOWED_LINES", "40000"))
SLACK_S = 0.5


@dataclass
class Source:
    """What an application printed and when, answered by windows, in the ways that platforms do."""

    times: list[float]
    lines: list[str]
    rng: random.Random
    keeps: int | None = None  # a rotation: no more than the last lines are there
    swaps: bool = False  # neighbours change places from one answer to the next
    cuts: bool = False  # the first line lacks its beginning
    first: int = -1
    requests: int = 0

    def answer(self, served: float, since_s: int) -> list[str]:
        begin, end = bisect_left(self.times, served - since_s), bisect_right(self.times, served)
        if self.keeps is not None:
            begin = max(begin, end - self.keeps)
        if self.first < 0:
            self.first = begin
        self.requests += 1
        window = self.lines[begin:end]
        if self.swaps:
            at = 0
            while at + 1 < len(window):
                if self.rng.random() < 0.05:
                    window[at], window[at + 1] = window[at + 1], window[at]
                    at += 1
                at += 1
        if self.cuts and window and len(window[0]) > 1:
            window[0] = window[0][self.rng.randrange(1, len(window[0])) :]
        return lines_of("\n".join(window))


@dataclass
class Followed:
    lines: list[str] = field(default_factory=list)
    gaps: list[tuple[str, int]] = field(default_factory=list)


def follow(source, *, pauses=(1.0, 1.5, 2.0, 3.0), latency_s=0.3, first_s=10):
    """Follow a source to its end, with pauses and answers of all lengths."""
    stitcher, found = Stitcher(), Followed()
    now = source.times[0] + 1.0 if source.times else 0.0
    end = (source.times[-1] if source.times else 0.0) + 2 * max(pauses) + 2
    while now < end:
        latency = source.rng.uniform(0.001, latency_s)
        begun = source.first >= 0
        since_s = stitcher.since_s(now, slack_s=SLACK_S) if begun else first_s
        window = source.answer(now + source.rng.random() * latency, since_s)
        if not begun or stitcher.reaches(now + latency, since_s):
            stitched = stitcher.add(window, sent=now, received=now + latency, since_s=since_s)
            found.lines += stitched.lines
            if stitched.gap:
                found.gaps.append((stitched.gap, stitched.at_most))
        now += latency + source.rng.choice(pauses)
    return found


def printed(rng, count, *, per_s, line):
    """Return times and lines, at random intervals."""
    times, lines, now = [], [], 0.0
    for number in range(count):
        now += rng.expovariate(per_s)
        times.append(round(now, 3))
        # An empty line shows when another follows it.
        lines.append(line(number) or ("-" if number == count - 1 else ""))
    return times, lines


def mixed(rng):
    """Lines of which many are equal, some numbered, and bursts of equal ones."""
    burst = 0

    def line(number):
        nonlocal burst
        if rng.random() < 0.001:
            burst = rng.choice([10, 300, 1000])
        burst -= burst > 0
        return (
            "the same again" if burst else rng.choice(["GET /health 200", f"09:30:{number:08} asked", "tick", ""])
        )

    return line


@pytest.mark.parametrize("per_s", [0.5, 20, 1000], ids=lambda rate: f"{rate} lines a second")
def test_no_line_is_lost_and_none_doubled(per_s):
    rng = random.Random(1)
    times, lines = printed(rng, LINES if per_s > 1 else 2000, per_s=per_s, line=mixed(rng))
    if per_s < 1:  # an empty line alone in an answer does not show
        lines = [line or "-" for line in lines]
    source = Source(times, lines, rng)
    found = follow(source)
    # The second answer cannot always tell a slow, equal line that it has from one that it had.
    assert sum(at_most for _, at_most in found.gaps) <= (3 if per_s < 1 else 0)
    assert found.lines == lines[source.first :]
    assert len(found.gaps) <= 1


def test_a_hundred_thousand_equal_lines_between_others_are_counted():
    rng = random.Random(2)
    many = min(100_000, LINES * 3 // 4)
    equal = range(LINES // 8, LINES // 8 + many)
    times, lines = printed(
        rng, LINES, per_s=LINES / 40, line=lambda number: "equal" if number in equal else f"line {number}"
    )
    found = follow(Source(times, lines, rng))
    assert found.gaps == []
    assert found.lines == lines[found_at(lines, found) :]
    assert found.lines.count("equal") == len(equal)


def found_at(lines, found):
    return lines.index(found.lines[0])


def test_equal_lines_in_a_quiet_log_are_counted_by_time():
    """A health check every few seconds: nothing but time tells one from the next."""
    rng = random.Random(3)
    times = [100.0 + 7.0 * number + rng.uniform(0, 2) for number in range(400)]
    source = Source(times, ["GET /health 200"] * 400, rng)
    found = follow(source, first_s=1)
    assert found.gaps == []
    assert len(found.lines) == 400 - source.first


def test_equal_lines_that_cannot_be_counted_are_said_to_be_uncertain():
    rng = random.Random(4)
    times, lines = printed(rng, 20_000, per_s=200, line=lambda _: "equal")
    source = Source(times, lines, rng)
    found = follow(source)
    missing = len(lines) - source.first - len(found.lines)
    assert {gap for gap, _ in found.gaps} == {"uncertain"}
    assert 0 <= missing <= sum(at_most for _, at_most in found.gaps)


def test_a_platform_that_keeps_less_than_is_asked_for_still_joins():
    rng = random.Random(5)
    times, lines = printed(rng, 20_000, per_s=200, line=lambda n: f"line {n}" if n % 3 else "equal")
    source = Source(times, lines, rng, keeps=1500)
    found = follow(source)
    assert found.gaps == []
    assert found.lines == lines[source.first :]


def test_what_was_outrun_is_a_gap_and_no_line_is_invented():
    rng = random.Random(6)
    times, lines = printed(rng, 20_000, per_s=1000, line=lambda n: f"line {n}")
    source = Source(times, lines, rng, keeps=1500)
    found = follow(source)
    assert {gap for gap, _ in found.gaps} == {"outrun"}
    assert len(set(found.lines)) == len(found.lines) < len(lines)
    # Each lost stretch stands at a gap: so many as there are jumps in the numbers.
    numbers = [int(line.split()[1]) for line in found.lines]
    jumps = sum(after != before + 1 for before, after in pairwise(numbers))
    assert numbers == sorted(numbers)
    assert jumps == len(found.gaps)


def test_lines_that_change_places_are_neither_lost_nor_doubled():
    rng = random.Random(7)
    times, lines = printed(rng, LINES, per_s=200, line=mixed(rng))
    lines = [line or "-" for line in lines]
    source = Source(times, lines, rng, swaps=True)
    found = follow(source, first_s=10)
    assert found.gaps == []
    wrong = Counter(found.lines)
    wrong.subtract(lines[source.first :])
    # At the first window's own beginning a swap decides which of two lines is in it.
    assert sum(map(abs, wrong.values())) <= 2


def test_a_first_line_without_its_beginning_is_known_for_the_line_it_was():
    rng = random.Random(8)
    times, lines = printed(rng, 10_000, per_s=50, line=lambda n: f"GET /orders {n % 40} {'x' * (n % 7)}")
    source = Source(times, lines, rng, cuts=True)
    found = follow(source)
    assert found.gaps == []
    assert found.lines[1:] == lines[source.first + 1 :]


def test_a_platform_that_forgot_its_log_is_said_once_and_followed_on():
    stitcher = Stitcher()
    stitcher.add(["12:00:01 a", "12:00:02 b"], sent=0.0, received=0.1, since_s=10)
    stitcher.add(["12:00:01 a", "12:00:02 b", "12:00:14 c"], sent=4.0, received=4.1, since_s=8)
    gone = stitcher.add([], sent=6.0, received=6.1, since_s=7)
    assert (gone.lines, gone.gap) == ([], "outrun")
    after = stitcher.add(["d"], sent=8.0, received=8.1, since_s=5)
    assert (after.lines, after.gap) == (["d"], None)
    later = stitcher.add(["d", "e"], sent=10.0, received=10.1, since_s=5)
    assert (later.lines, later.gap) == (["e"], None)


def test_an_hour_and_more_without_an_answer_is_a_gap():
    stitcher = Stitcher()
    stitcher.add(["a"], sent=0.0, received=0.1, since_s=10)
    now = LONGEST_S + 100.0
    assert stitcher.since_s(now) == LONGEST_S
    stitched = stitcher.add(["b"], sent=now, received=now + 0.1, since_s=LONGEST_S)
    assert (stitched.lines, stitched.gap) == (["b"], "outrun")


def test_a_window_that_begins_after_the_last_answer_does_not_join():
    stitcher = Stitcher()
    stitcher.add(["a"], sent=0.0, received=0.1, since_s=10)
    assert stitcher.reaches(9.0, 10)
    assert not stitcher.reaches(12.0, 10)


streams = st.lists(
    st.tuples(
        st.sampled_from(["equal", "numbered", "mixed", "quiet"]),
        st.integers(1, 300),
        st.sampled_from([0.2, 1.0, 10.0, 100.0]),
    ),
    min_size=1,
    max_size=6,
)


def stream(parts, rng):
    times, lines, now = [], [], 0.0
    for kind, count, per_s in parts:
        if kind == "quiet":
            now += count / per_s % 100
            continue
        for _ in range(count):
            now += rng.expovariate(per_s)
            times.append(round(now, 3))
            text = {"equal": "equal", "numbered": f"line {len(lines)}"}.get(kind)
            lines.append(rng.choice(["a", "b", f"line {len(lines)}"]) if text is None else text)
    return times, lines


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    streams,
    st.integers(0, 10**6),
    st.sampled_from([None, 5, 50, 500]),
    st.sampled_from([(1.0, 2.0), (1.0, 15.0), (0.0, 0.1, 5.0)]),
)
def test_any_stream_is_followed_whole_or_says_that_it_is_not(parts, seed, keeps, pauses):
    rng = random.Random(seed)
    times, lines = stream(parts, rng)
    source = Source(times, lines, rng, keeps=keeps)
    found = follow(source, pauses=pauses)
    true = lines[max(source.first, 0) :]
    if not found.gaps and keeps is None:
        assert found.lines == true
    if keeps is not None and all(line.startswith("line") for line in true):
        assert not Counter(found.lines) - Counter(true)
        assert found.gaps or found.lines == true
