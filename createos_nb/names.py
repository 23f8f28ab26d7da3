"""Names: of projects and their environments, for Tab, and for messages about those that are not there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import TYPE_CHECKING

from createos_nb.errors import CreateOSError
from createos_nb.markup import one_line

if TYPE_CHECKING:
    from createos_nb.api.client import Client

KEPT_S = 60.0
"""How long names are kept for Tab."""

PATIENCE_S = 1.0
"""How long Tab waits for names; those that come later are there the next time."""

FEW = 10
"""Projects up to which Tab asks for the environments of all; of more, those that were selected are known."""

_SHOWN = 10
_LOOKED_THROUGH = 100


class Names:
    """What is known of the names that a key may see, so that Tab costs next to nothing.

    Parameters
    ----------
    client
        Carries the requests out.
    clock
        Seconds that never jump, for tests.
    """

    def __init__(self, client: Client, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._read_at = float("-inf")
        self._reader: threading.Thread | None = None
        self._projects: list[str] = []
        self._environments: dict[str, list[str]] = {}

    def learn(self, environments: Mapping[str, Sequence[str]]) -> None:
        """Take in the environments of projects, by name."""
        # Anew, since Tab may be looking through them.
        self._environments = {**self._environments, **{name: list(its) for name, its in environments.items()}}

    def selections(self) -> list[str]:
        """Return what may be selected: every project, and the environments that are known.

        The projects are read again after a minute, or a minute after that failed. What cannot be read, or not
        within a second, is left out: nobody is helped by an error, or by waiting, in the middle of typing.
        """
        if self._clock() - self._read_at > KEPT_S and not (self._reader and self._reader.is_alive()):
            self._reader = threading.Thread(target=self._read, name="createos-names", daemon=True)
            self._reader.start()
            self._reader.join(PATIENCE_S)
        # With one environment known, all of its project are.
        single = [f"{project}/{name}" for project, names in sorted(self._environments.items()) for name in names]
        return ["*/*", *(f"{project}/*" for project in self._projects), *single]

    def _read(self) -> None:
        with suppress(CreateOSError):
            projects = list(self._client.projects.list())
            self._projects = names = [each.unique_name for each in projects]
            self._environments = {name: its for name, its in self._environments.items() if name in names}
            if len(projects) <= FEW:
                for each in projects:
                    found = self._client.environments.list(each.id)
                    self.learn({each.unique_name: [one.unique_name for one in found]})
        self._read_at = self._clock()

    def missing_project(self, name: str) -> str:
        """Return a message about a project that is not there."""
        listed = self._client.projects.list(max_rows=_LOOKED_THROUGH)
        known = _listed(name, [each.unique_name for each in listed], total=listed.total)
        return f"There is no project {one_line(name)!r} that this key may see. {known}"

    @staticmethod
    def missing_environment(name: str, environments: Mapping[str, Sequence[str]]) -> str:
        """Return a message about an environment that none of some projects has, by their names."""
        names = sorted({each for its in environments.values() for each in its})
        known = _listed(name, names, total=len(names))
        if len(environments) == 1:
            return f"{next(iter(environments))} has no environment {one_line(name)!r}. {known}"
        return f"None of {len(environments)} projects has an environment {one_line(name)!r}. {known}"


def _listed(name: str, known: Sequence[str], *, total: int) -> str:
    if not known:
        return "There are: none at all."
    close = get_close_matches(name.lower(), {each.lower() for each in known}, n=1, cutoff=0.5)
    if not close:
        close = [each for each in known if each.lower().startswith(name.lower())][:1] if name else []
    meant = f" Did you mean {close[0]!r}?" if close else ""
    if total > _SHOWN:
        return f"There are {total}, such as: {_joined(known[:_SHOWN])}.{meant}"
    return f"There are: {_joined(known)}.{meant}"


def _joined(names: Iterable[str]) -> str:
    return ", ".join(one_line(name) for name in names)
