"""An exchange carried out by a script, with a virtual clock: no I/O at all."""

from __future__ import annotations

import json
from functools import cached_property

from createos_nb import errors
from createos_nb.api.message import Request, Reserve, Response, Sleep
from createos_nb.api.nouns import Nouns


def nouns(client):
    """The client's groups of operations, by name."""
    return {name: getattr(client, name) for name, held in vars(Nouns).items() if isinstance(held, cached_property)}


class Played:
    """An exchange carried out by a script: each request takes the next answer; sleeping moves the clock."""

    def __init__(self, exchange, answer, *, attempts=10):
        self.requests: list[Request] = []
        self.pauses: list[float] = []
        self.value = self.error = None
        clock_s = 1000.0
        try:
            step = next(exchange)
            while True:
                if isinstance(step, Reserve):
                    step = exchange.send(step.attempt <= attempts)
                    continue
                if isinstance(step, Sleep):
                    clock_s += step.seconds
                    self.pauses.append(step.seconds)
                    step = exchange.send(clock_s)
                    continue
                self.requests.append(step)
                answered = answer(step)
                step = exchange.throw(answered) if isinstance(answered, Exception) else exchange.send(answered)
        except StopIteration as end:
            self.value = end.value
        except errors.CreateOSError as error:
            self.error = error


def success(data):
    return response(200, {"status": "success", "data": data})


def response(status, body=b"", **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def request(safety="read", method="GET"):
    return Request("GetThing", method, "/v1/things/{thing_id}", "/v1/things/1", safety)


def itself(declared, arguments):
    """The exchange of an operation, without what it reads before."""
    if declared.paged:
        return declared.exchange(**arguments)
    return declared.calling(declared.request(**arguments))
