"""Stitching: overlapping windows of a log put together into the one log they are of. No I/O, no clock.

The platform answers "the lines of the last n seconds", without numbers or cursors. Two facts say how much of
an answer is known already. By content, its beginning must be the end of what was seen. By time, its window
began n seconds before the platform answered, which was between sending and receiving; so lines that first
showed after that are in it, and lines that showed before are not. Where both leave one possibility the answer
is stitched exactly; windows are chosen to begin in a quiet moment, or to hold a line that stands out, so that
they do. Where several are left, as in an endless stream of equal lines without times, the fewest new lines
are taken and the uncertainty is said; until the windows have left it behind, some may then be given twice or
not at all, and each such place is said too.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, inf
from typing import Literal

from createos_nb.follow.matching import DISORDER, aligned, cut, overlaps

SETTLE_S = 0.5
"""How late a line may show after its time."""
OVERLAP_S = 3.0
"""How far a window reaches back behind the one before, at least."""
LONGEST_S = 3600
"""How far a window reaches back at most."""
KEPT_LINES = 200_000
"""Lines that are compared with; an hour of them at most is asked for again."""

_MANY = 3
_TIME = re.compile(r"\d\d:\d\d:\d\d|\d{10}")


@dataclass
class _Run:
    """Some lines in a row that first showed in the same stretch of time."""

    count: int
    after: float
    before: float
    unsure: bool = False  # of a window that did not join, so that when they showed is hardly known


@dataclass(frozen=True)
class Stitched:
    """What a window adds.

    Attributes
    ----------
    lines
        The new lines, oldest first.
    gap
        ``"outrun"`` when lines before these may be lost, ``"uncertain"`` when equal lines could not be told apart;
        None when every line is there, once.
    at_most
        Of an uncertain one: by how many the count of lines may be wrong.
    """

    lines: list[str]
    gap: Literal["outrun", "uncertain"] | None = None
    at_most: int = 0


class Stitcher:
    """The log of one environment, put together from windows.

    Times are seconds of any clock that never jumps.

    Parameters
    ----------
    kept_lines
        How many of the last lines to compare with.

    Attributes
    ----------
    covered
        Up to when the log is known.
    """

    def __init__(self, *, kept_lines: int = KEPT_LINES) -> None:
        self.covered = -inf
        self._kept_lines = kept_lines
        self._lines: list[str] = []
        self._runs: list[_Run] = []
        self._counts: Counter[str] = Counter()
        self._floor = -inf
        self._doubted = -inf

    def since_s(self, now: float, *, slack_s: float = 0.0) -> int:
        """Return how many seconds the next window has to reach back, sent now.

        Parameters
        ----------
        now
            When it is sent.
        slack_s
            How much later than now the platform may look.
        """
        wanted = self._start(self.covered - OVERLAP_S, slack_s) - slack_s
        since = ceil(now - wanted)
        if now - since < self._floor:  # what lies before the first window was not asked for
            since = max(floor(now - self._floor), ceil(now - self.covered + slack_s))
        return min(max(1, since), LONGEST_S)

    def reaches(self, received: float, since_s: int) -> bool:
        """Return whether an answer received then joins what is known; one that does not is to be asked again."""
        return since_s >= LONGEST_S or received - since_s <= self.covered

    def add(self, window: Sequence[str], *, sent: float, received: float, since_s: int) -> Stitched:
        """Take in a window and return what is new in it.

        Parameters
        ----------
        window
            Its lines as of `lines_of`, oldest first; the first may have lost its beginning.
        sent, received
            When it was asked for, and when it was there.
        since_s
            How far it was to reach back.
        """
        start = (sent - since_s, received - since_s)
        lines = list(window)
        if self.covered == -inf:
            self._floor = start[1]
            self._append(lines, start[0], received)
            if len(lines) >= DISORDER:  # so busy a log is not without a line that is in the next window too
                self._runs[-1].unsure = True
            self.covered = sent
            return Stitched(lines)
        missed = start[1] > self.covered
        must, may = self._must(start[1]), self._may(start[0])
        found = (
            self._exact(lines, must, may, doubted=start[0] <= self._doubted)
            or self._loose(lines, may)
            or self._outrun(lines, start)
        )
        if found.gap is None and missed and not found.overlap:
            found.gap = "outrun"
        if not found.overlap and may and lines and self._runs[-1].unsure:
            found.gap = "outrun"
        if found.known is not None:
            self._replace(*found.known)
        if found.gap == "uncertain":
            self._doubted = received
        if found.at is not None and self._doubted < start[0]:
            self._refine(found.at, start)
        self._append(found.new, start[0] if found.gap == "outrun" else max(self.covered, start[0]), received)
        if found.gap == "outrun" and found.new:
            self._runs[-1].unsure = True
        self.covered = sent
        return Stitched(found.new, found.gap, found.at_most)

    # --- how much of a window is known ----------------------------------------------------------------

    def _must(self, start: float) -> int:
        """Count the last lines that showed after a window's start for sure."""
        if start <= self._doubted:  # what was taken for new there may have showed earlier
            return 0
        return self._trailing(lambda run: run.after - SETTLE_S >= start)

    def _may(self, start: float) -> int:
        """Count the last lines that may have shown after a window's start."""
        return self._trailing(lambda run: run.before + SETTLE_S > start)

    def _trailing(self, inside: Callable[[_Run], bool]) -> int:
        count = 0
        for run in reversed(self._runs):
            if not inside(run):
                break
            count += run.count
        return count

    def _exact(self, lines: list[str], must: int, may: int, *, doubted: bool) -> _Found | None:
        """Take the window for the end of what was seen, followed by what is new."""
        all_fits = overlaps(self._lines, lines)
        fits = [k for k in all_fits if must <= k <= may]
        if doubted and not max(fits, default=0):  # the time of what was taken for old or new is not to be relied on
            fits = [max(all_fits)]
        if not max(fits, default=0) and lines and may:
            # Its first line may have lost its beginning, or its lines stand in another order.
            cuts = [
                k + 1
                for k in overlaps(self._lines, lines[1:])
                if must <= k + 1 <= may and self._ends(k + 1, lines[0])
            ]
            if cuts and (not fits or self._stands_out(lines[1 : max(cuts)])):
                fits = cuts
            elif fits and (loose := self._loose(lines, may)) and self._stands_out(loose.shared):
                return loose
        if not fits:
            return None
        most, least = max(fits), min(fits)
        if most > least and self._stands_out(lines[:most]):
            least = most
        return _Found(
            new=lines[most:],
            overlap=most,
            at=most if most == least else None,
            gap=None if most == least else "uncertain",
            at_most=most - least,
        )

    def _ends(self, place: int, text: str) -> bool:
        return place <= len(self._lines) and cut(self._lines[-place], text)

    def _stands_out(self, overlap: list[str]) -> bool:
        """Return whether an overlap cannot be chance: it has a line with a time, or many, seen only once."""
        once = 0
        here = Counter(overlap)
        for line, count in here.items():
            if count == 1 and self._counts[line] == 1:
                once += 1
                if once >= _MANY or _TIME.search(line):
                    return True
        return False

    def _loose(self, lines: list[str], may: int) -> _Found | None:
        """Take a window whose lines stand in another order, or between which late ones have come, for the same.

        Lines that both sides have once say where the window begins; every other line is then looked for near
        its place. Lines of the window that have no partner are new, wherever they stand.
        """
        size = min(len(self._lines), may + DISORDER)
        tail = self._lines[len(self._lines) - size :]
        begin, end = aligned(tail, lines)
        if begin is None:
            return None
        if begin < 0:  # it begins before what is kept
            lines, begin, end = lines[-begin:], 0, end - begin
        known = [False] * len(lines)
        left_over = []
        for at in range(begin, len(tail)):
            if at - begin < len(lines) and lines[at - begin] == tail[at]:
                known[at - begin] = True
            else:
                left_over.append(at)
        places: defaultdict[str, deque[int]] = defaultdict(deque)
        for at in range(min(len(lines), max(end, len(tail) - begin) + DISORDER)):
            if not known[at]:
                places[lines[at]].append(at)
        early: defaultdict[str, list[int]] = defaultdict(list)
        for at in left_over:
            queue = places[tail[at]]
            while queue and queue[0] < at - begin - DISORDER:
                early[tail[at]].append(queue.popleft())
            if queue and queue[0] <= at - begin + DISORDER:
                known[queue.popleft()] = True
        # One from before its beginning that has come into it leaves an equal one over, anywhere.
        for at in range(max(0, begin - _MANY), begin):
            rest = early[tail[at]] or places[tail[at]]
            if rest and rest[0] < len(tail) - begin:
                known[rest[0]] = True
                del rest[0]
        if lines and not known[0] and cut(tail[begin], lines[0]):
            known[0] = True
        shared = [line for line, is_known in zip(lines, known, strict=True) if is_known]
        return _Found(
            new=[line for line, is_known in zip(lines, known, strict=True) if not is_known],
            overlap=len(shared),
            # From now on the platform's newer order counts.
            known=(len(tail) - begin, shared),
        )

    def _outrun(self, lines: list[str], start: tuple[float, float]) -> _Found:
        """Take a window that does not join: lines are lost, or the platform gives less than was asked for."""
        overlap = max(overlaps(self._lines, lines))
        for run in self._runs:
            run.after = -inf
        self._floor = max(self._floor, start[1])
        return _Found(new=lines[overlap:], overlap=overlap, gap="outrun")

    # --- what is remembered ---------------------------------------------------------------------------

    def _append(self, lines: list[str], after: float, before: float) -> None:
        self._lines += lines
        self._counts.update(lines)
        # Empty lines at an answer's end do not show until another follows.
        empty = next((at for at, line in enumerate(lines) if line), len(lines))
        if empty:
            self._runs.append(_Run(empty, self._runs[-1].after if self._runs else -inf, before))
        if len(lines) > empty:
            self._runs.append(_Run(len(lines) - empty, after, before))
        while self._runs and len(self._lines) - self._runs[0].count >= self._kept_lines:
            self._forget(self._runs.pop(0))

    def _forget(self, run: _Run) -> None:
        self._counts.subtract(self._lines[: run.count])
        del self._lines[: run.count]
        if len(self._counts) > 2 * len(self._lines) + 1000:
            self._counts = +self._counts
        self._floor = max(self._floor, run.before + SETTLE_S)

    def _replace(self, count: int, lines: list[str]) -> None:
        """Put lines in the place of the last ones; when each of them showed is then known less well."""
        old = self._lines[len(self._lines) - count :]
        self._counts.subtract(old)
        self._counts.update(lines)
        self._lines[len(self._lines) - count :] = lines
        after, before = inf, -inf
        while count > 0:
            run = self._runs[-1]
            taken = min(count, run.count)
            after, before = min(after, run.after), max(before, run.before)
            run.count -= taken
            count -= taken
            if not run.count:
                self._runs.pop()
        if lines:
            self._runs.append(_Run(len(lines), after, before))

    def _refine(self, overlap: int, start: tuple[float, float]) -> None:
        """Note what an exact window tells: lines in it showed after its start, the others before."""
        count = 0
        for at in reversed(range(len(self._runs))):
            run = self._runs[at]
            inside = min(run.count, max(0, overlap - count))
            count += run.count
            if 0 < inside < run.count:
                self._runs[at : at + 1] = [
                    _Run(run.count - inside, run.after, min(run.before, start[1])),
                    _Run(inside, max(run.after, start[0]), run.before),
                ]
            elif inside:
                run.after = max(run.after, start[0])
            else:
                run.before = min(run.before, start[1])
                if run.before < start[0] - LONGEST_S:
                    break

    def _start(self, latest: float, slack_s: float) -> float:
        """Return when the next window is to begin: the last moment from which it can be stitched exactly."""
        known_from = self.covered
        end = len(self._lines)
        for run in reversed(self._runs):
            if known_from <= self._doubted:
                break
            quiet = min(latest, known_from - SETTLE_S)
            if quiet - 1 - slack_s >= max(run.before + SETTLE_S, self._floor):
                return quiet
            begin = end - run.count
            at_latest = min(latest, run.after - SETTLE_S)
            if at_latest < self._floor:
                break
            if any(self._counts[self._lines[at]] == 1 for at in range(begin, end)):
                return at_latest
            known_from, end = run.after, begin
        return latest


@dataclass
class _Found:
    new: list[str]
    overlap: int
    at: int | None = None
    gap: Literal["outrun", "uncertain"] | None = None
    at_most: int = 0
    known: tuple[int, list[str]] | None = None

    @property
    def shared(self) -> list[str]:
        return self.known[1] if self.known else []
