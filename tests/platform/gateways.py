"""Gateways: one that runs within a test, on a free port, and what it recorded."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from createos_nb.platform.accesslog import AccessLog
from createos_nb.platform.gateway.recorder import Recorder
from createos_nb.platform.gateway.routes import Routes
from createos_nb.platform.gateway.server import Gateway


@asynccontextmanager
async def gateway(routes: Routes, recorder: Recorder, *, answer_within_s: float = 60.0) -> AsyncIterator[int]:
    """Serve on a free port, which is yielded."""
    made = Gateway(routes, recorder, answer_within_s=answer_within_s)
    listener = socket.create_server(("127.0.0.1", 0))
    await made.begin(listener)
    yield listener.getsockname()[1]
    await made.end()


class Recorded:
    """The records of a gateway within a test, in the access log."""

    def __init__(self, directory: Path) -> None:
        self.recorder = Recorder(directory / "requests")
        self.log = AccessLog(directory / "access.duckdb", directory / "requests")

    def close(self) -> None:
        self.recorder.close()
        self.log.close()
