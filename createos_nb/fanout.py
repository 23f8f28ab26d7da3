"""Fan-out: one question to many targets, side by side, with what failed kept beside what answered."""

from __future__ import annotations

import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, as_completed
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import pandas as pd

from createos_nb import schema
from createos_nb.api.listing import Listing
from createos_nb.api.progress import bar
from createos_nb.errors import CreateOSError, PartialAnswer, PartialWarning
from createos_nb.markup import one_line

if TYPE_CHECKING:
    from createos_nb.answers import Answers
    from createos_nb.api.client import Client

One = TypeVar("One")
Answer = TypeVar("Answer")

WIDTH = 24
"""Targets asked at once; the blocking client is at its best between 1 and 32 wide."""

PATIENCE_S = 7200.0
"""How long one of many requests waits for its place in the budget, while a bar shows how far all are."""

Names = tuple[str | None, str | None]
"""Project and environment, by their unique names."""


@dataclass(frozen=True)
class Targets(Generic[One]):
    """Whom a question goes to.

    Attributes
    ----------
    found
        Reads them.
    names
        A target's project and environment.
    operation
        What reads them; empty when they are known already.
    count
        Tells how many there are, in a request at most.
    page_size
        How many a request reads; 0 for all of them.
    """

    found: Callable[[Client], Sequence[One]]
    names: Callable[[One], Names]
    operation: str = ""
    count: Callable[[Client], int] | None = None
    page_size: int = 0


@dataclass(frozen=True)
class Question(Generic[One]):
    """What to ask each of many targets, and what becomes of the answers.

    Attributes
    ----------
    kind
        The kind of the frame.
    targets
        Whom to ask.
    rows
        Asks one target; returns its rows, or its frame when it is made already.
    requests
        How many requests of each operation a target costs; the first operation is the one that errors name.
    unbounded
        Those of them that come in pages, or depend on what others answer, so that their number is the least.
    held
        How many requests of the first operation a target does not cost, because their answers are held.
    """

    kind: schema.Kind
    targets: Targets[One]
    rows: Callable[[Client, One], Sequence[schema.Row] | pd.DataFrame]
    requests: Mapping[str, int]
    unbounded: frozenset[str] = frozenset()
    held: Callable[[One], int] | None = None


class Asking(Protocol):
    """What can be done with a question: ask it, or explain what asking would cost."""

    client: Client
    answers: Answers

    def ask(self, question: Question[One], *, strict: bool = False) -> pd.DataFrame:
        """Return the question's frame."""
        ...


def gather(
    client: Client, targets: Sequence[One], ask: Callable[[Client, One], Answer], *, what: str = ""
) -> list[Answer]:
    """Ask every target, side by side, and return the answers in order; the first error is raised.

    A person who waits for one answer has the whole budget; many requests leave a part of it to others, and
    wait for their places as long as it takes, with a bar to show how far they are.

    Parameters
    ----------
    client
        Carries the requests out.
    targets, ask
        Whom to ask, and how.
    what
        Is asked, for the bar.

    Raises
    ------
    KeyboardInterrupt
        It was interrupted: nothing more is sent, and the places in the budget that were booked are given back.
    """
    if len(targets) < 2:
        return [ask(client, target) for target in targets]
    stop = threading.Event()
    # What is part of a fan-out itself is paced, and given up, with the whole of it.
    part = client.stop is not None
    paced = client if part else client.paced(lane="background", patience_s=PATIENCE_S, stop=stop)
    futures: list[Future[Answer]] = [Future() for _ in targets]
    left = deque(zip(futures, targets, strict=True))

    def work() -> None:
        with suppress(IndexError):
            while True:
                future, target = left.popleft()
                if future.set_running_or_notify_cancel():
                    _settle(future, ask, paced, target)

    try:
        # Not those of a ThreadPoolExecutor, which a process that ends waits for, until the last answer is there.
        for number in range(min(WIDTH, len(targets))):
            threading.Thread(target=work, name=f"createos-nb-{number}", daemon=True).start()
        with bar(what, shown=not part, total=len(targets), delay=1.0) as shown:
            for future in as_completed(futures):
                shown.update()
                future.result()
        return [future.result() for future in futures]
    finally:
        # Requests that are under way end by themselves; nobody who interrupts is kept waiting for them.
        stop.set()
        for future in futures:
            future.cancel()


def _settle(future: Future[Answer], ask: Callable[[Client, One], Answer], client: Client, target: One) -> None:
    try:
        future.set_result(ask(client, target))
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised where the future is asked
        future.set_exception(error)


@dataclass(frozen=True)
class Heard(Generic[One, Answer]):
    """What came of asking many: who answered what, and who failed why."""

    answers: list[tuple[One, Answer]]
    failed: list[tuple[Names, CreateOSError]]

    @property
    def message(self) -> str:
        """How many failed, and the first of them."""
        (names, error), count = self.failed[0], len(self.answers) + len(self.failed)
        return f"{len(self.failed)} of {count} targets failed, such as {_name(names)}: {error} See ws.errors()."

    @property
    def error(self) -> CreateOSError:
        """The first error, which says whom it is about."""
        return _named(*self.failed[0])


class FanOut:
    """Asks questions, and remembers which targets failed in the last one.

    Parameters
    ----------
    client
        Carries the requests out.
    answers
        What was answered about windows that are over.
    """

    def __init__(self, client: Client, answers: Answers) -> None:
        self.client = client
        self.answers = answers
        self._rows: list[schema.Row] = []

    def errors(self) -> pd.DataFrame:
        """Return the targets that failed in the last question (`schema.ERRORS`)."""
        return schema.ERRORS.frame(self._rows)

    def ask(self, question: Question[One], *, strict: bool = False) -> pd.DataFrame:
        """Ask every target for its rows, and return them all as one frame.

        Parameters
        ----------
        question
            What to ask whom.
        strict
            Raise when some failed.

        Raises
        ------
        PartialAnswer
            Some failed and ``strict`` was asked for.
        CreateOSError
            All of them failed: the error of the first.
        """
        self._rows = []  # Whatever ends this call before it has answers, those of another are not its.
        operation = next(iter(question.requests), question.targets.operation)
        targets = question.targets.found(self.client)
        heard = self.hear(targets, question.rows, names=question.targets.names, operation=operation)
        whole = not heard.failed and (not isinstance(targets, Listing) or targets.complete)
        frame = question.kind.concat(_framed(question.kind, answer, whole=whole) for _, answer in heard.answers)
        if heard.failed and strict:
            raise PartialAnswer(heard.message, frame=frame, errors=self.errors())
        if heard.failed:
            self.warn(heard.message)
        return frame

    def hear(
        self,
        targets: Sequence[One],
        ask: Callable[[Client, One], Answer],
        *,
        names: Callable[[One], Names],
        operation: str,
        needed: Callable[[One], bool] = lambda _one: False,
        of_all: tuple[type[CreateOSError], ...] = (),
    ) -> Heard[One, Answer]:
        """Ask every target, and return who answered what, and who failed why.

        Parameters
        ----------
        targets, ask
            As of `gather`.
        names
            A target's project and environment.
        operation
            What errors name.
        needed
            Whether a target's error is raised, though others answer.
        of_all
            Errors that the others would meet too: the first is raised, and nobody else is asked.

        Raises
        ------
        CreateOSError
            All of them failed, or one that is needed.
        """

        def tried(client: Client, one: One) -> Answer | CreateOSError:
            try:
                return ask(client, one)
            except of_all:
                raise
            except CreateOSError as error:
                return error

        told = list(zip(targets, gather(self.client, targets, tried, what=operation), strict=True))
        failed = [(one, answer) for one, answer in told if isinstance(answer, CreateOSError)]
        answers = [(one, answer) for one, answer in told if not isinstance(answer, CreateOSError)]
        heard = Heard(answers, [(names(one), error) for one, error in failed])
        if failed:
            self._rows = [
                {"project": project, "environment": environment, "operation": operation, "error": str(error)}
                for (project, environment), error in heard.failed
            ]
        needs = [(names(one), error) for one, error in failed if needed(one)]
        if needs or (failed and not answers):
            raise _named(*(needs or heard.failed)[0])
        return heard

    def warn(self, failed: str) -> None:
        """Say where the person asked that some did not answer."""
        warnings.warn(PartialWarning(failed, self.errors()), stacklevel=_depth())


def _name(names: Names) -> str:
    return one_line("/".join(name for name in names if name)) or "the account"


def _named(names: Names, error: CreateOSError) -> CreateOSError:
    """Return an error that says whom it is about; its message names an id at most."""
    error.add_note(f"Asked about {_name(names)}.")
    return error


def _framed(kind: schema.Kind, answer: Sequence[schema.Row] | pd.DataFrame, *, whole: bool) -> pd.DataFrame:
    frame = answer if isinstance(answer, pd.DataFrame) else kind.frame(answer)
    return frame if whole else frame.assign(complete=False)


def _depth() -> int:
    """Return the ``stacklevel`` at which a warning names the line of the person who asked."""
    frame, depth = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("createos_nb."):
        frame, depth = frame.f_back, depth + 1
    return depth
