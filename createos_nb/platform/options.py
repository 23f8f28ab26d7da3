"""Options: how a platform is to behave, chosen when it is started."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields

from createos_nb.errors import InvalidArgument

LOOPBACK = "127.0.0.1"
_BINDS = {LOOPBACK: True, "::1": True, "0.0.0.0": False, "::": False}
"""What can be listened on, and whether that lets in this machine alone: our own tools always ask the loopback."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a platform is to behave until it ends.

    Attributes
    ----------
    bind
        Address that it listens on: of the loopback, or ``"0.0.0.0"`` or ``"::"`` for all. With these, other
        machines reach its API, which runs programs as you for whoever has the key, and its applications, which
        need none.
    idle_s
        Seconds without a request after which an environment is put to sleep, at least 1; None for never. The
        next request wakes it.

    keep_records_s, keep_logs_s
        Seconds for which access records and runtime logs are kept, at least 60; None for as long as there is the
        environment, and of logs as much as `createos_nb.platform.runtimelogs` keeps.
    admin
        Whether `createos_nb.platform.admin` may be used: it moves the clock, plans faults and forces states.
    rate_limit
        One of `createos_nb.platform.budget.RATE_LIMITS`: ``"documented"`` gives each key what the real platform
        gives, 100 requests a minute, 1000 an hour and 10 uploads a minute.

    Raises
    ------
    InvalidArgument
        One of them is out of bounds.
    """

    bind: str = LOOPBACK
    idle_s: float | None = None
    keep_records_s: float | None = None
    keep_logs_s: float | None = None
    admin: bool = False
    rate_limit: str = "generous"

    def __post_init__(self) -> None:
        if self.bind not in _BINDS:
            raise InvalidArgument(
                f"{self.bind!a} is nothing to listen on. Use {LOOPBACK} or ::1 for this machine alone, "
                "0.0.0.0 or :: for every address that it has."
            )
        if self.idle_s is not None and not (math.isfinite(self.idle_s) and self.idle_s >= 1):
            raise InvalidArgument(
                f"An idle time of {self.idle_s!r} s is not possible. Use at least 1 s, or None (never)."
            )
        for kept_s in (self.keep_records_s, self.keep_logs_s):
            if kept_s is not None and not (math.isfinite(kept_s) and kept_s >= 60):
                raise InvalidArgument(
                    f"Nothing can be kept for {kept_s!r} s. Use at least 60 s, or None (forever)."
                )

    @property
    def lets_others_in(self) -> bool:
        """Whether other machines can reach it."""
        return not _BINDS[self.bind]

    def missing_from(self, running: Options) -> dict[str, object]:
        """Return what is asked for here, other than by default, and not so with the running ones."""
        asked = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.default != getattr(self, field.name)
        }
        return {name: value for name, value in asked.items() if getattr(running, name) != value}

    def to_json(self) -> str:
        """Return them as a JSON text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Options:
        """Return what `to_json` described."""
        return cls(**json.loads(text))
