"""Follower: looks at the logs of some environments again and again, and keeps what is new."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from math import ceil
from typing import Any

import pandas as pd

from createos_nb.api.client import Client
from createos_nb.api.secret import Secret
from createos_nb.errors import ConnectionFailed, CreateOSError, RateLimited, ServerError, UnexpectedResponse
from createos_nb.follow.buffer import Buffer
from createos_nb.follow.matching import lines_of
from createos_nb.follow.pace import SLOWEST_S, pause_s
from createos_nb.follow.stitching import LONGEST_S, Stitcher
from createos_nb.logs import NO_LOGS, parse
from createos_nb.markup import escape, frame_table, one_line
from createos_nb.schema import FOLLOWED, FOLLOWERS, GAPS

Names = tuple[str, str]
Observer = Callable[[pd.DataFrame], object]

_TICK_S = 0.2
_AT_ONCE_S = 0.5
"""So much later a first look may be answered without having had to wait."""


class _Source:
    """One environment: what is known of its log, and how its following goes."""

    def __init__(self, names: Names, ids: tuple[str, str]) -> None:
        self.names = names
        self.ids = ids
        self.stitcher = Stitcher()
        self.held: list[str] = []
        self.state, self.reason = "following", ""
        self.looks = self.lines = self.gaps = self.quiet = 0
        self.pause_s = 0.0
        self.slack_s = 1.0

    def rows(self, gap: str, message: str) -> pd.DataFrame:
        project, environment = self.names
        return FOLLOWED.frame(
            [{"project": project, "environment": environment, "gap": gap, "message": message, "raw": ""}],
            complete=False,
        )

    def parsed(self, lines: list[str], *, last: bool) -> pd.DataFrame:
        """Return the rows of new lines; a row that the next look may go on with waits for it once."""
        text, self.held = [*self.held, *lines], []
        if not text:
            return FOLLOWED.empty()
        frame = parse("\n".join([*text, ""]), project=self.names[0], environment=self.names[1])
        ending = frame["raw"].iloc[-1]
        if lines and not last and (not pd.isna(frame["trace"].iloc[-1]) or frame["level"].iloc[-1] in _MAY_GO_ON):
            self.held = ending.split("\n")
            frame = frame.iloc[:-1]
        gap = pd.Categorical([None] * len(frame), categories=list(GAPS), ordered=True)
        return FOLLOWED.concat([frame.assign(gap=gap)[FOLLOWED.names]])


_MAY_GO_ON = {"ERROR", "CRITICAL"}

_ODD_ANSWERS = 5
"""Answers in a row that are none of CreateOS, which are waited out."""


class Follower:
    """Logs that are followed: an iterator of rows, a frame, and a feed for widgets; `follow` makes one.

    It goes on in the kernel, whoever reads it, until `stop`. Rows are those of `schema.FOLLOWED`: a row whose
    ``gap`` is not missing is no line, and its message says what is not known there.

    Parameters
    ----------
    client
        Carries the requests out, in the background lane of the budget.
    targets
        Ids of project and environment, by their names.
    since_s
        Seconds to look back at first.
    keep
        Rows to keep.

    Examples
    --------
    ::

        f = prod.follow()
        for row in f:  # those that are kept first, then each as it comes; ends with f.stop()
            print(row.level, row.message)
        f.frame()  # the same rows as a frame
        f.observe(show)  # show(frame) with the same rows, then with new ones
    """

    def __init__(
        self, client: Client, targets: Mapping[Names, tuple[str, str]], *, since_s: int, keep: int
    ) -> None:
        # A place that is not free at once is waited for here, where stop() is heard and the window can grow.
        self._client = client.paced(lane="background", patience_s=0)
        self._since_s = since_s
        self._sources = [_Source(names, ids) for names, ids in targets.items()]
        self._buffer = Buffer(keep)
        self._observers: dict[object, Observer] = {}
        self._handing = threading.RLock()
        self._stopped = threading.Event()
        self._failed_observer = ""
        self._began = time.monotonic()
        self._threads = [
            threading.Thread(target=self._run, args=(one,), name=f"createos-follow-{one.names[1]}", daemon=True)
            for one in self._sources
        ]
        for thread in self._threads:
            thread.start()

    # --- for people -----------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether some of the environments are still followed."""
        return not self._buffer.closed

    def state(self) -> pd.DataFrame:
        """Return how the following of each environment goes (`schema.FOLLOWERS`)."""
        return FOLLOWERS.frame(
            {
                "project": one.names[0],
                "environment": one.names[1],
                "state": one.state,
                "reason": self._said(one),
                "looks": one.looks,
                "lines": one.lines,
                "gaps": one.gaps,
                "pause_s": one.pause_s,
            }
            for one in self._sources
        )

    def frame(self) -> pd.DataFrame:
        """Return the rows that are kept (`schema.FOLLOWED`), as they were found.

        ``complete`` is False where a row is a gap's, and everywhere when older rows were dropped.
        """
        frame = self._buffer.frame()
        return frame.assign(complete=False) if self._buffer.begin else frame

    def __iter__(self) -> Iterator[Any]:
        """Yield each row as a named tuple: those that are kept, then new ones as they come, until `stop`.

        An interrupt of the kernel ends the loop and leaves the follower running.
        """
        place = 0
        while True:
            closed = self._buffer.closed
            dropped, frames = self._buffer.wait(place, _TICK_S)
            place += dropped
            if dropped and place > dropped:
                what = f"{dropped:,} rows were dropped before they were read. Read faster, or keep more rows."
                yield from self._sources[0].rows("dropped", what).itertuples(index=False, name="Row")
            for frame in frames:
                for row in frame.itertuples(index=False, name="Row"):
                    place += 1
                    yield row
            if closed and not frames:
                return

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Hand over the rows that are kept, now, and new ones as they come; return what ends that.

        Parameters
        ----------
        observer
            Called with a frame of one row or more (`schema.FOLLOWED`), never twice at once, from any thread.
            One that raises is not called again, and `state` says so.
        """
        handle = object()
        with self._handing:
            frame = self.frame()
            if len(frame):
                observer(frame)  # What fails at once is its caller's to hear of, and is not called again.
            self._observers[handle] = observer
        return lambda: self._observers.pop(handle, None) and None

    def stop(self) -> None:
        """End it, within a second; what was found stays readable."""
        self._stopped.set()
        for thread in self._threads:
            # One that waits for an answer ends when that is there; nothing of it is taken in.
            thread.join(0.8 / len(self._threads))
        for one in self._sources:
            if one.state != "ended":
                one.state, one.reason = "ended", "It was stopped."
        self._buffer.close()

    def __repr__(self) -> str:
        names = ", ".join("/".join(one.names) for one in self._sources)
        states = "; ".join(sorted({f"{one.state}. {self._said(one)}".strip() for one in self._sources}))
        return f"<Follower of {one_line(names)}: {self._buffer.end:,} rows, {one_line(states)}>"

    def _repr_html_(self) -> str:
        return f"<div style='font:13px/1.5 system-ui'>{escape(repr(self))}</div>{frame_table(self.state())}"

    def _said(self, one: _Source) -> str:
        return " ".join(filter(None, (one.reason, self._failed_observer)))

    # --- in its threads -------------------------------------------------------------------------------

    def _run(self, one: _Source) -> None:
        reason = "It broke; see the messages of the kernel."
        failures = 0
        try:
            while not self._stopped.is_set():
                try:
                    found = self._look(one)
                except RateLimited as error:
                    left_s = (error.retry_at - datetime.now(UTC)).total_seconds() if error.retry_at else 0.0
                    self._pause(one, error, max(1.0, left_s))
                except (ConnectionFailed, ServerError, UnexpectedResponse) as error:
                    failures += 1
                    if isinstance(error, UnexpectedResponse) and failures > _ODD_ANSWERS:
                        raise  # A page of a proxy goes away again; what is no CreateOS stays so.
                    self._pause(one, error, min(2.0**failures, 30.0))
                else:
                    failures = 0
                    one.state, one.reason = "following", ""
                    one.pause_s = self._pause_s(one, found) if found is not None else 0.1
                    self._stopped.wait(one.pause_s)
            reason = "It was stopped."
        except CreateOSError as error:
            reason = str(error)
            one.gaps += 1
            self._hand(one.parsed([], last=True))
            self._hand(one.rows("ended", f"Following ended: {reason}"))
        finally:
            if one.held:
                self._hand(one.parsed([], last=True))
            one.state, one.reason = "ended", reason
            if all(other.state == "ended" for other in self._sources):
                self._buffer.close()

    def _look(self, one: _Source) -> int | None:
        """Ask for the last window and take it in; return how many lines were new, None for ask again."""
        sent = time.monotonic()
        begun = one.looks > 0
        since_s = one.stitcher.since_s(sent, slack_s=one.slack_s) if begun else self._first_s(one, sent)
        text = self._client.environments.logs(*one.ids, since_seconds=since_s)
        received = time.monotonic()
        one.slack_s = max(0.5, 2 * (received - sent))
        # A first look may have had to wait, within its request too; it begins where it was begun, if one can.
        late = not begun and since_s < self._since_s + received - self._began - _AT_ONCE_S
        again = since_s < LONGEST_S if late else begun and not one.stitcher.reaches(received, since_s)
        if self._stopped.is_set() or again:
            return None
        covered = one.stitcher.covered
        lines = [] if text.strip() == NO_LOGS else lines_of(text)
        stitched = one.stitcher.add(lines, sent=sent, received=received, since_s=since_s)
        one.looks += 1
        gap = "outrun" if late else stitched.gap
        if gap is not None:
            one.gaps += 1
            self._hand(one.parsed([], last=True))
            seconds = sent - covered if begun else since_s
            self._hand(one.rows(gap, _explained(gap, stitched.at_most, seconds)))
        self._hand(one.parsed(stitched.lines, last=False))
        one.lines += len(stitched.lines)
        one.quiet = 0 if stitched.lines else one.quiet + 1
        return len(stitched.lines)

    def _first_s(self, one: _Source, sent: float) -> int:
        """Return how far the first look reaches back: to where it would have, had it not had to wait."""
        waited_s = sent - self._began
        return min(self._since_s + (ceil(waited_s + one.slack_s) if waited_s > _AT_ONCE_S else 0), LONGEST_S)

    def _pause_s(self, one: _Source, found: int) -> float:
        following = sum(other.state != "ended" for other in self._sources)
        rate = found / max(one.pause_s, 1.0)
        return pause_s(lines_per_s=rate, quiet=one.quiet, budget=self._client.info()["budget"], followers=following)

    def _pause(self, one: _Source, error: CreateOSError, seconds: float) -> None:
        """Wait, and say why, once."""
        if one.state != "paused":
            self._hand(one.rows("paused", f"Following waits, and goes on from here: {error}"))
        one.state, one.reason = "paused", str(error)
        # The window grows with the wait, but a person wants to see that it goes on.
        self._stopped.wait(min(seconds, 4 * SLOWEST_S))

    def _hand(self, frame: pd.DataFrame) -> None:
        if frame.empty:
            return
        with self._handing:
            self._buffer.add(frame)
            for handle, observer in list(self._observers.items()):
                try:
                    observer(frame)
                except Exception as error:  # noqa: BLE001 - whatever a widget does, no line may be lost for others
                    del self._observers[handle]
                    self._failed_observer = f"An observer failed and is not called again: {error}"


def _explained(gap: str, at_most: int, seconds: float) -> str:
    if gap == "outrun":
        return (
            f"Lines may be missing here: the platform no longer gave all of the last {seconds:.0f} s. The log "
            "moved on faster than it was read, or was begun anew."
        )
    return (
        f"The number of lines around here is uncertain, by {at_most:,} at most: equal lines without a time could "
        "not be told from those that were there before."
    )


_running: dict[tuple[str, Secret, tuple[tuple[str, str], ...]], Follower] = {}
_registry = threading.Lock()


def follow(client: Client, targets: Mapping[Names, tuple[str, str]], *, since_s: int, keep: int) -> Follower:
    """Return the follower of these environments: the one that runs, or a new one.

    Parameters
    ----------
    client
        Whose platform and key.
    targets
        Ids of project and environment, by their names.
    since_s
        Seconds to look back at first.
    keep
        Rows to keep.
    """
    settings = client.settings
    key = (settings.api_url, settings.credential, tuple(sorted(targets.values())))
    with _registry:
        found = _running.get(key)
        if found is None or not found.running:
            _running[key] = found = Follower(client, targets, since_s=since_s, keep=keep)
        return found
