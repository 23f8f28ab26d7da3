"""Faults: what is to go wrong, planned by operation, so that a client's care can be seen to work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.responses import JSONResponse, Response

from createos_nb.platform.answers import failure

Envelope = Literal["jsend", "flat", "nested"]
"""How a planned failure is wrapped: the platform's envelope, or one of the others that were seen of it."""
When = Literal["before", "after"]

EVERY = "*"
"""Stands for every operation."""
CUT = "createos_nb.cut"
"""Extension of a request's scope: under ``abort`` a function that ends its connection at once."""


@dataclass
class Planned:
    """One fault, and how often it is still to come.

    Attributes
    ----------
    operation
        Which one it befalls, by its operation id; ``"*"`` for every one.
    when
        Whether a cut or a status comes before the call is carried out, instead of it, or after it.
    delay_s
        How long the call waits first, in seconds of the platform's clock.
    status, envelope, message
        The failure that is answered; without a status the call's own answer is.
    retry_after_s
        Seconds that a header ``Retry-After`` names.
    headers
        Further headers of the answer.
    cut
        Whether the connection is cut without an answer.
    skip
        How many calls it lets pass first.
    times
        How many calls it befalls; 0 for all.
    """

    operation: str
    when: When = "before"
    delay_s: float = 0.0
    status: int | None = None
    envelope: Envelope = "jsend"
    message: str = "This failure was planned."
    retry_after_s: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    skip: int = 0
    times: int = 1

    @property
    def instead(self) -> bool:
        """Whether the call is not carried out."""
        return self.when == "before" and (self.cut or self.status is not None)

    def answer(self, usual: Response | None, announced: Mapping[str, str]) -> Response:
        """Return the answer to a call that it befell.

        Parameters
        ----------
        usual
            The answer that there would have been; None when the call was not carried out.
        announced
            Headers of every answer.
        """
        headers = {**announced, **self.headers}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(self.retry_after_s)
        if self.status is None and usual is not None:
            usual.headers.update(headers)
            return usual
        status = self.status or 500
        if self.envelope == "jsend":
            return failure(status, self.message, headers=headers)
        body: dict[str, Any] = {"success": False, "message": self.message}
        if self.envelope == "nested":
            body = {"error": {"code": "PLANNED", "message": self.message, "details": None}}
        return JSONResponse(body, status, headers)


class Faults:
    """The faults that are planned; they end with the platform."""

    def __init__(self) -> None:
        self._planned: list[Planned] = []

    @property
    def planned(self) -> tuple[Planned, ...]:
        """Those that are still to come, in the order in which they were planned."""
        return tuple(self._planned)

    def plan(self, fault: Planned) -> None:
        """Add one; of several for one operation the first comes first."""
        self._planned.append(fault)

    def forget(self) -> int:
        """Drop them all, and return how many there were."""
        count = len(self._planned)
        self._planned.clear()
        return count

    def take(self, operation: str) -> Planned | None:
        """Return the fault that befalls this call, None for none."""
        for fault in self._planned:
            if fault.operation not in {operation, EVERY}:
                continue
            if fault.skip:
                fault.skip -= 1
                return None
            if fault.times == 1:
                self._planned.remove(fault)
            elif fault.times:
                fault.times -= 1
            return fault
        return None
