"""Selection: one environment or many, with the frames and plans that concern them."""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from createos_nb import plans, schema
from createos_nb.blame import Blame, blame, refuse_many
from createos_nb.completion import offers_dir
from createos_nb.errors import InvalidArgument
from createos_nb.explanation import Explained
from createos_nb.follow import Follower, follow
from createos_nb.follow.stitching import LONGEST_S
from createos_nb.frames import EnvironmentFrames, Target
from createos_nb.metrics.options import count
from createos_nb.plans.assign import Assign
from createos_nb.plans.domain import AssignDomain
from createos_nb.plans.rollback import Rollback
from createos_nb.plans.scale import Scale
from createos_nb.timerange import Moment, Since, TimeRange

__all__ = ["Selection", "Target"]


@offers_dir
class Explanation(EnvironmentFrames):
    """The calls of a selection, each of which returns what it would cost (`schema.EXPLANATION`)."""

    _asking: Explained

    def blame(
        self,
        since: Since = None,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        significance: float = 0.01,  # noqa: ARG002 - as asked
        lag: str = "5m",  # noqa: ARG002 - as asked
    ) -> pd.DataFrame:
        """Return what `Selection.blame` would send at least; a rise takes two or three requests more."""
        refuse_many(self)
        window = TimeRange.of(since, start=start, end=end, now=self.api.now())
        return self._asking.blame(self.analytics.requests_over_time(start=window.start, end=window.end))

    def follow(self, *, since: Since = "1m", keep: int = 100_000) -> pd.DataFrame:
        """Return what the first look of `Selection.follow` would send; it goes on asking until its ``stop()``."""
        _look(self.api.now(), since, keep)
        looks = {"GetProjectEnvironmentLogs": 1}
        return self.ask(schema.LOGS, lambda _client, _one: [], looks, unbounded=frozenset(looks), strict=False)


def _look(present: datetime, since: Since, keep: int) -> tuple[int, int]:
    """Return how many seconds to look back at first, and how many rows to keep."""
    seconds = max(1, round((present - TimeRange.of(since, now=present).start).total_seconds()))
    if seconds > LONGEST_S:
        raise InvalidArgument(f"since={since!r} is refused: look back an hour at most, as with '1h'.")
    return seconds, count("keep", keep)


@offers_dir
class Selection(EnvironmentFrames):
    """One environment or many: the same calls, the same frames.

    Attributes
    ----------
    analytics
        The platform's eight analytics answers as frames.
    """

    def explain(self) -> Explanation:
        """Return the same calls, which say what they would cost instead of making requests.

        Returns
        -------
        Explanation
            Each call of it returns a frame of kind `schema.EXPLANATION`: the requests it would send, how many
            more it would without the answers that are held, and their share of the budget.

        Examples
        --------
        >>> ws["*/production"].explain().analytics.summary(since="1h")  # doctest: +SKIP
        """
        return Explanation(self._targets, Explained(self.api, self.answers))

    def blame(
        self,
        since: Since = None,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        significance: float = 0.01,
        lag: str = "5m",
    ) -> Blame:
        """Say whether a deployment is likely behind a rise of server errors, or that it cannot be told.

        Of one environment. It takes two requests, and two or three more when there was a rise.

        Parameters
        ----------
        since
            Length of the window up to ``end`` (or now), such as ``"2h"``; default one hour.
        start, end
            The window, half open; aware datetimes, ISO text or unix seconds.
        significance
            Chance of a rise being seen anywhere in the window when nowhere is one.
        lag
            Longest time from a deployment's creation to its first traffic: queue, build and start.

        Returns
        -------
        Blame
            Shows itself; ``.frame()``, ``.table()``, ``.change_points()``, ``.deployments()`` and
            ``.error_paths()`` are its DataFrames.
        """
        return blame(
            self, TimeRange.of(since, start=start, end=end, now=self.api.now()), significance=significance, lag=lag
        )

    def follow(self, *, since: Since = "1m", keep: int = 100_000) -> Follower:
        """Return what follows the logs: each line once, in the order written, and a row where that is not sure.

        It runs in the kernel until its ``stop()``; called again for the same environments, the running one is
        returned, with its rows. Iterate over it, ask for its ``frame()``, or ``observe()`` it.

        Parameters
        ----------
        since
            How far to look back at first, at most an hour, or a `TimeRange`, of which the start counts; of no
            effect on one that runs.
        keep
            Rows to keep, 1 or more; of no effect on one that runs.

        Raises
        ------
        InvalidArgument
            ``since`` or ``keep`` is out of range.
        """
        seconds, kept = _look(self.api.now(), since, keep)
        return follow(self.api, {one.names: one.ids for one in self._targets}, since_s=seconds, keep=kept)

    def plan_rollback(
        self, *, deployment: str | None = None, min_requests: int = 100, verify_for_s: float = 120.0
    ) -> Rollback:
        """Plan to put an older deployment live, pinned and verified by traffic. Shows, never acts.

        Parameters
        ----------
        deployment
            Its id or version (``"v2"``); default the newest older one that can serve.
        min_requests
            Requests that the verification needs.
        verify_for_s
            Seconds that it waits for them.

        Raises
        ------
        InvalidArgument
            There is nothing to roll back to; the message says why.
        """
        return plans.rollback(
            self.api, **self._one(), deployment=deployment, min_requests=min_requests, verify_for_s=verify_for_s
        )

    def plan_assign(self, *, deployment: str) -> Assign:
        """Plan to put a deployment live. Shows, never acts.

        Parameters
        ----------
        deployment
            Its id or version (``"v2"``).
        """
        return plans.assign(self.api, **self._one(), deployment=deployment)

    def plan_scale(
        self, *, replicas: int | None = None, cpu_millicores: int | None = None, memory_mb: int | None = None
    ) -> Scale:
        """Plan to change what the environment may use; what is not given stays. Shows, never acts.

        Parameters
        ----------
        replicas
            Processes, 1 to 3.
        cpu_millicores
            For each replica, 200 to 500.
        memory_mb
            For each replica, 500 to 1024.
        """
        return plans.scale(
            self.api, **self._one(), replicas=replicas, cpu_millicores=cpu_millicores, memory_mb=memory_mb
        )

    def plan_domain(self, name: str) -> AssignDomain:
        """Plan to lead a domain here: add it, check its records, assign it, as far as needed. Never acts.

        Parameters
        ----------
        name
            Such as ``"api.example.com"``.
        """
        return plans.domain(self.api, **self._one(), name=name)

    def _one(self) -> dict[str, str]:
        if len(self._targets) != 1:
            raise InvalidArgument(
                f"A plan concerns one environment, and this selection has {len(self)}. Choose one: "
                f"{', '.join(map(str, self._targets[:10]))}."
            )
        (target,) = self._targets
        return {
            "project": target.names[0],
            "project_id": target.ids[0],
            "environment": target.names[1],
            "environment_id": target.ids[1],
        }
