"""Explanation: what a question would cost in requests, before any of them is sent."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from createos_nb import schema
from createos_nb.analytics import SUMMARY
from createos_nb.api.budget import BACKGROUND, DOCUMENTED, HOUR_S, MINUTE_S, RESERVE
from createos_nb.fanout import One, Question

if TYPE_CHECKING:
    from createos_nb.answers import Answers
    from createos_nb.api.client import Client


def documented_s(requests: int, *, many: bool) -> float:
    """Return how long the documented budget makes requests take, in seconds.

    Parameters
    ----------
    requests
        How many.
    many
        Of several targets at once, which leave a fifth of the budget to others; otherwise a twentieth.

    Examples
    --------
    >>> documented_s(80, many=True), documented_s(81, many=True), documented_s(801, many=True)
    (0.0, 60.0, 3600.0)
    """
    share = BACKGROUND if many else 1 - RESERVE
    hours, rest = divmod(max(0, requests - 1), math.floor(DOCUMENTED.hour * share))
    return float(hours * HOUR_S + rest // math.floor(DOCUMENTED.minute * share) * MINUTE_S)


class Explained:
    """Explains questions instead of asking them.

    Parameters
    ----------
    client
        Whose budget it is; sends one request at most, to learn how many projects there are.
    answers
        What needs no request.
    """

    def __init__(self, client: Client, answers: Answers) -> None:
        self.client = client
        self.answers = answers

    def ask(self, question: Question[One], *, strict: bool = False) -> pd.DataFrame:  # noqa: ARG002 - as asked
        """Return what the question would cost (`schema.EXPLANATION`), in all in the last row."""
        targets = question.targets
        if targets.count is not None:
            count, held = targets.count(self.client), 0
        else:
            known = targets.found(self.client)
            count, held = len(known), sum(map(question.held, known)) if question.held else 0
        costs: list[tuple[str, int, int, bool]] = []
        if targets.operation:
            pages = math.ceil(count / targets.page_size) if targets.page_size else 1
            costs.append((targets.operation, max(1, pages), 0, True))
        for operation, each in question.requests.items():
            costs.append((operation, count * each - held, held, operation not in question.unbounded))
            held = 0
        return self._told(costs, many=count > 1)

    def blame(self, traffic: pd.DataFrame) -> pd.DataFrame:
        """Return what a blame costs: its traffic, the newest deployments, and what only a rise asks for."""
        *parts, _ = traffic[["operation", "requests", "held", "bound"]].itertuples(index=False, name=None)
        costs = [(operation, requests, held, bound == "exactly") for operation, requests, held, bound in parts]
        return self._told([*costs, ("ListDeployments", 1, 0, True), (SUMMARY, 0, 0, False)], many=False)

    def _told(self, costs: list[tuple[str, int, int, bool]], *, many: bool) -> pd.DataFrame:
        total = sum(requests for _, requests, _, _ in costs)
        costs = [*costs, ("in all", total, sum(item[2] for item in costs), all(item[3] for item in costs))]
        budget = self.client.info()["budget"]
        return schema.EXPLANATION.frame(
            {
                "operation": operation,
                "bound": "exactly" if exact else "at least",
                "requests": requests,
                "held": held,
                "share_of_minute": requests / budget["minute"]["limit"],
                "share_of_hour": requests / budget["hour"]["limit"],
                "documented_s": documented_s(requests, many=many),
            }
            for operation, requests, held, exact in costs
        )
