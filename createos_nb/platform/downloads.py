"""Downloads: addresses at which a file can be had for a while, without a key."""

from __future__ import annotations

import secrets
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from createos_nb.platform.answers import failure
from createos_nb.platform.clock import Clock

PATH = "/local/downloads/{token}"
VALID_S = 300.0


class Downloads:
    """The files that can be had now; whoever has an address can fetch what it leads to.

    Parameters
    ----------
    clock
        Of the platform.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offered: dict[str, tuple[Path, float]] = {}

    def offer(self, path: Path) -> str:
        """Return the path, on the API's origin, at which a file can be had for the next five minutes."""
        now = self._clock.time()
        self._offered = {token: (file, end) for token, (file, end) in self._offered.items() if end > now}
        token = secrets.token_urlsafe(32)
        self._offered[token] = (path, now + VALID_S)
        return PATH.format(token=token)

    async def answer(self, request: Request) -> Response:
        """Send the file."""
        path, end = self._offered.get(request.path_params["token"], (None, 0.0))
        if path is None or end <= self._clock.time() or not path.is_file():
            return failure(404, "There is nothing to download here, or no longer. Ask for a new address.")
        return FileResponse(path, media_type="application/zip", filename=path.name)
