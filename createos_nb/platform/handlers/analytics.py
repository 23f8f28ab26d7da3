"""Analytics: over the access log, right to the request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from createos_nb.api.analytics import AnalyticsOperations as Operations
from createos_nb.errors import BadRequest
from createos_nb.platform.platform import Context

if TYPE_CHECKING:
    from createos_nb.platform.accesslog import AccessLog

T = TypeVar("T")

DEFAULT_WINDOW_S = 3600
MAX_SERIES_S = 31 * 24 * 3600
"""Longest window with a row for each minute: 44,640 rows."""


def _handler(
    question: Callable[[AccessLog], Callable[[str, int, int], T]], *, longest_s: int | None = None
) -> Callable[..., Awaitable[T]]:
    async def answer(
        context: Context, *, project_id: str, environment_id: str, start: int | None, end: int | None
    ) -> T:
        environment = context.environment(project_id, environment_id)
        # The present second is not over, and what happened in it counts.
        end_s = int(context.platform.clock.time()) + 1 if end is None else end
        start_s = end_s - DEFAULT_WINDOW_S if start is None else start
        if start_s >= end_s:
            raise BadRequest.answer(f"start ({start_s}) must be before end ({end_s}).")
        if longest_s is not None and end_s - start_s > longest_s:
            raise BadRequest.answer(f"The window is longer than {longest_s} s. Ask for its parts.")
        log = await context.platform.access_log()
        return await asyncio.to_thread(question(log), environment.id, start_s, end_s)

    return answer


HANDLERS: dict[str, Callable[..., Awaitable[Any]]] = {
    Operations.summary.name: _handler(lambda log: log.analytics),
    Operations.overall_requests.name: _handler(lambda log: log.overall_requests),
    Operations.rpm.name: _handler(lambda log: log.rpm),
    Operations.success_percentage.name: _handler(lambda log: log.success_percentage),
    Operations.requests_over_time.name: _handler(lambda log: log.requests_over_time, longest_s=MAX_SERIES_S),
    Operations.top_hit_paths.name: _handler(lambda log: log.top_hit_paths),
    Operations.top_error_paths.name: _handler(lambda log: log.top_error_paths),
    Operations.request_distribution.name: _handler(lambda log: log.request_distribution),
}
