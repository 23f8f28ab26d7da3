"""Analytics: over the access log, right to the request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from createos_nb.errors import BadRequest
from createos_nb.platform.accesslog import AccessLog
from createos_nb.platform.platform import Context

DEFAULT_WINDOW_S = 3600


def _handler(question: Callable[[AccessLog, str, int, int], Any]) -> Callable[..., Awaitable[Any]]:
    async def answer(
        context: Context, *, project_id: str, environment_id: str, start: int | None, end: int | None
    ) -> Any:
        environment = context.environment(project_id, environment_id)
        # The present second is not over, and what happened in it counts.
        end_s = int(time.time()) + 1 if end is None else end
        start_s = end_s - DEFAULT_WINDOW_S if start is None else start
        if start_s >= end_s:
            raise BadRequest.answer(f"start ({start_s}) must be before end ({end_s}).")
        return await asyncio.to_thread(question, context.platform.access_log, environment.id, start_s, end_s)

    return answer


_PREFIX = "GetProjectEnvironmentAnalytics"

HANDLERS = {
    _PREFIX: _handler(AccessLog.analytics),
    f"{_PREFIX}OverallRequests": _handler(AccessLog.overall_requests),
    f"{_PREFIX}RPM": _handler(AccessLog.rpm),
    f"{_PREFIX}SuccessPercentage": _handler(AccessLog.success_percentage),
    f"{_PREFIX}RequestsOverTime": _handler(AccessLog.requests_over_time),
    f"{_PREFIX}TopHitPaths": _handler(AccessLog.top_hit_paths),
    f"{_PREFIX}TopErrorPaths": _handler(AccessLog.top_error_paths),
    f"{_PREFIX}RequestDistribution": _handler(AccessLog.request_distribution),
}
