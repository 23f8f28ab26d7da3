"""Calls: one call of an operation, from whose key it is to its answer; the same for REST and for MCP."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from createos_nb.api.operation import Operation
from createos_nb.api.parameter import Received
from createos_nb.api.upload import OPERATION
from createos_nb.errors import OperationFailed, RateLimited, Unauthorized
from createos_nb.platform import admin, users
from createos_nb.platform.answers import failure, success
from createos_nb.platform.budget import Budget
from createos_nb.platform.disk import FULL, is_full
from createos_nb.platform.faults import CUT, Planned
from createos_nb.platform.guards import REQUEST_ID
from createos_nb.platform.handlers import HANDLERS
from createos_nb.platform.platform import Context, Platform
from createos_nb.platform.scenarios import LOAD, load

_NO_MORE = "All {} that this key may make now are used up. Wait {} s."
_UPLOADS = frozenset(OPERATION.values())
_BEARER = re.compile(r"\s*bearer\s+", re.IGNORECASE)
_NO_KEY = "Send exactly one good API key, in the header X-Api-Key."

_HANDLERS: Mapping[str, Callable[..., Awaitable[Any]]] = {
    **HANDLERS,
    **admin.HANDLERS,
    LOAD.name: load,
    users.ADD.name: users.add,
}

_log = logging.getLogger(__name__)


class Calls:
    """Carries operations out for whoever has a key.

    Parameters
    ----------
    platform
        What the handlers work on.
    budget
        How many requests each key has.
    """

    def __init__(self, platform: Platform, budget: Budget) -> None:
        self._platform = platform
        self._budget = budget

    def identity(self, headers: Headers, *, bearer: bool = False) -> tuple[str, str] | None:
        """Return whose request it is, and the key's id; None without exactly one good key.

        Parameters
        ----------
        headers
            Of the request.
        bearer
            A key may also come as ``Authorization: Bearer``, as clients of MCP send it.
        """
        given = [*headers.getlist("x-api-key"), *headers.getlist("x-access-token")]
        if bearer:
            given += [_BEARER.sub("", value) for value in headers.getlist("authorization")]
        found = self._platform.store.user_of_key(given[0]) if len(given) == 1 else None
        return (found[0].id, found[1].id) if found is not None else None

    def refusal(self, headers: Headers, *, bearer: bool = False) -> Response | None:
        """Return the answer to a request that has no good key, None when it has one; see `identity`."""
        if self.identity(headers, bearer=bearer) is not None:
            return None
        wait, announced = self._budget.take("")
        if wait:
            return failure(429, _NO_MORE.format("requests", wait), headers=announced)
        return failure(401, _NO_KEY, headers=announced)

    def announced(self, headers: Headers) -> dict[str, str]:
        """Return the headers on how many requests are left, without taking one; for what is no call."""
        identity = None
        with suppress(Exception):  # What failed has an answer already, which this must not take away.
            identity = self.identity(headers, bearer=True)
        return self._budget.left(identity[1] if identity else "")

    async def answer(
        self,
        operation: Operation[..., Any],
        request: Request,
        arguments: Callable[[], Awaitable[Received]],
        *,
        bearer: bool = False,
    ) -> Response:
        """Answer one call, whatever becomes of it.

        Parameters
        ----------
        operation
            What is called.
        request
            The HTTP request that carries it.
        arguments
            Reads them, once it is certain who asks.
        bearer
            As of `identity`.
        """
        headers: dict[str, str] = {}
        try:
            identity = self.identity(request.headers, bearer=bearer)
            if identity is not None and operation.name not in HANDLERS:
                # What CreateOS has no operation for, as a look at this platform's state, costs nothing there.
                wait, headers = 0, self._budget.left(identity[1])
            else:
                upload = operation.name in _UPLOADS
                wait, headers = self._budget.take(identity[1] if identity else "", upload=upload)
            if wait:
                used_up = self._budget.used_up(identity[1] if identity else "")
                raise RateLimited.answer(_NO_MORE.format(used_up, wait))
            if identity is None:
                raise Unauthorized.answer(_NO_KEY)
            received = await arguments()
            fault = self._platform.faults.take(operation.name) if operation.name in HANDLERS else None
            if fault is not None:
                await self._platform.clock.sleep(fault.delay_s)
                if fault.instead:
                    return _spoilt(fault, None, headers, request)
            context = Context(self._platform, identity[0], received.cleared)
            result = await _HANDLERS[operation.name](context, **received)
            if operation.safety != "read":
                await self._platform.store.on_disk()
            response = success(result, status=operation.status, headers=headers)
            return response if fault is None else _spoilt(fault, response, headers, request)
        except OperationFailed as error:
            return failure(error.http_status, error.detail, headers=headers)
        except HTTPException as error:
            return failure(error.status_code, str(error.detail), headers=headers)
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a handler does, the client gets an envelope
            if is_full(error):
                return failure(507, FULL, headers=headers)
            request_id = request.scope[REQUEST_ID]
            _log.exception("%s failed (request %s).", operation.name, request_id)
            sentence = f"The platform failed; its log has the reason (request {request_id})."
            return failure(500, sentence, headers=headers)


def _spoilt(fault: Planned, usual: Response | None, headers: dict[str, str], request: Request) -> Response:
    """Return the answer that a fault leaves, or cut the connection."""
    if fault.cut and CUT in request.scope.get("extensions", {}):
        request.scope["extensions"][CUT]["abort"]()
        return Response(status_code=499)  # It goes nowhere.
    return fault.answer(usual, headers)
