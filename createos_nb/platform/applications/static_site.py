"""Static site: serves one directory on PORT, for projects whose runtime is ``static``.

Run as a program: ``python -I static_site.py DIRECTORY``.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO


class SiteHandler(SimpleHTTPRequestHandler):
    """Files, each directory's ``index.html``, and nothing whose name begins with a dot."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_version = "static"
    sys_version = ""

    def send_head(self) -> io.BytesIO | BinaryIO | None:
        """Answer 404 for hidden files before the base class looks for the path."""
        path = Path(self.translate_path(self.path))
        if any(part.startswith(".") for part in path.relative_to(self.directory).parts):
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def list_directory(self, path: str | os.PathLike[str]) -> None:  # noqa: ARG002 - as in the base class
        """Answer 404: what is in a directory is not the visitor's business."""
        self.send_error(HTTPStatus.NOT_FOUND)


def main() -> None:
    """Serve until asked to end."""
    handler = partial(SiteHandler, directory=sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()


if __name__ == "__main__":
    main()
