"""Static site: serves one directory on PORT, for projects whose runtime is ``static``.

Run as a program: ``python -I static_site.py DIRECTORY [--single-page]``. Content types, ranges, validators
and 304 are Starlette's.
"""

from __future__ import annotations

import argparse
import mimetypes
import os

import uvicorn
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import PathLike, StaticFiles
from starlette.types import Scope

_PACKED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}


class Site(StaticFiles):
    """Files, each directory's ``index.html``, the site's ``404.html``, and nothing whose name begins with a dot.

    Parameters
    ----------
    directory
        What is served.
    single_page
        Answer with the site's ``index.html`` where there is no file: the page finds its own way.
    """

    def __init__(self, directory: str, *, single_page: bool) -> None:
        super().__init__(directory=directory, html=True)
        self._single_page = single_page

    def file_response(
        self, full_path: PathLike, stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Answer with a file; one that is packed is what it is, and not what is in it."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        if packed := mimetypes.guess_type(str(full_path))[1]:
            response.headers["content-type"] = _PACKED.get(packed, "application/octet-stream")
        return response

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer 404 for hidden files before they are looked for."""
        parts = path.split("/")
        # One of them is public: RFC 8615.
        hidden = parts[1:] if parts[0] == ".well-known" else parts
        if any(part.startswith(".") and part != "." for part in hidden):
            raise HTTPException(404)
        try:
            return await super().get_response(path, scope)
        except HTTPException as error:
            # A missing picture is missing; what looks like a page is one of the single page's.
            if error.status_code == 404 and self._single_page and "." not in path.rpartition("/")[2]:
                return await super().get_response("index.html", scope)
            raise


def main() -> None:
    """Serve until asked to end."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("directory")
    arguments.add_argument("--single-page", action="store_true")
    given = arguments.parse_args()
    site = Site(given.directory, single_page=given.single_page)

    async def app(scope: Scope, receive: object, send: object) -> None:
        if scope["type"] != "http":
            return
        try:
            await site(scope, receive, send)  # type: ignore[arg-type] # the server's own, passed on
        except HTTPException as error:
            answer = Response(f"{error.status_code}\n", error.status_code, media_type="text/plain")
            await answer(scope, receive, send)  # type: ignore[arg-type] # likewise

    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), lifespan="off", log_level="warning")


if __name__ == "__main__":
    main()
