"""Store: where the files of an archive are, on this machine or in an object store."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

import fsspec
from filelock import FileLock, Timeout
from fsspec.implementations.local import LocalFileSystem

from createos_nb import settings
from createos_nb.errors import CreateOSError, InvalidArgument
from createos_nb.markup import one_line

LOCK_WAIT_S = 600.0
"""How long a run waits for another one that collects the same environment."""


class Store:
    """The files of an archive, by their paths below its root. Every file is whole or not there.

    Parameters
    ----------
    where
        A directory, or a URL that fsspec knows, such as ``s3://bucket/prefix``. What an object store asks for
        to let one in is configured where its own tools look for it, never in the URL.

    Attributes
    ----------
    filesystem
        The fsspec file system.
    local
        Whether it is this machine's.
    name
        Where it is, for people.

    Raises
    ------
    InvalidArgument
        It is no such place, or a URL that holds credentials.
    """

    def __init__(self, where: str | os.PathLike[str]) -> None:
        if not isinstance(where, str | os.PathLike) or not os.fspath(where):
            raise InvalidArgument(
                f"{where!r:.80} is no place for an archive. Pass a directory, such as 'history', or a URL such as "
                "s3://bucket/prefix."
            )
        text = os.fspath(where)
        if "://" in text and ("@" in urlsplit(text).netloc or urlsplit(text).query):
            raise InvalidArgument(
                "The archive's URL holds credentials or options. Leave them out, and configure the object store "
                "where its own tools look: its environment variables or configuration file."
            )
        if any(mark in text for mark in "*?["):
            raise InvalidArgument(
                f"The archive's place {one_line(text)!r} holds one of * ? [. Choose another name."
            )
        try:
            self.filesystem, root = fsspec.core.url_to_fs(
                text if "://" in text else os.path.abspath(os.path.expanduser(text))
            )
        except (ImportError, ValueError) as error:
            raise InvalidArgument(
                f"{one_line(text)!r} is no place for an archive: {one_line(str(error))} Pass a directory, or a URL "
                "such as s3://bucket/prefix with the library for it installed."
            ) from None
        self.local = isinstance(self.filesystem, LocalFileSystem)
        self.name = text
        self._root = root.rstrip("/")

    def find(self, below: str = "") -> list[str]:
        """Return the paths of all files, or of those in a folder."""
        start = f"{self._root}/{below}".rstrip("/")
        with self._told("list"):
            self.filesystem.invalidate_cache()
            found = self.filesystem.find(start)
        return [path[len(self._root) + 1 :] for path in found]

    def address(self, path: str) -> str:
        """Return a file's path as DuckDB and others take it."""
        whole = f"{self._root}/{path}"
        return whole if self.local else str(self.filesystem.unstrip_protocol(whole))

    def read(self, path: str) -> bytes:
        """Return what a file holds."""
        with self._told("read"):
            return bytes(self.filesystem.cat_file(f"{self._root}/{path}"))

    def put(self, path: str, content: bytes) -> None:
        """Write a file so that it is there whole or not at all: renamed into place, or in a single put."""
        whole = f"{self._root}/{path}"
        with self._told("write"):
            if not self.local:
                self.filesystem.pipe_file(whole, content)
                return
            target = Path(whole)
            target.parent.mkdir(parents=True, exist_ok=True)
            staged = target.with_name(f".{target.name}.{token_hex(8)}")
            try:
                with staged.open("xb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                staged.replace(target)
            except BaseException:
                staged.unlink(missing_ok=True)
                raise

    def delete(self, path: str) -> None:
        """Delete a file; one that is gone already is fine."""
        with self._told("delete from"), suppress(FileNotFoundError):
            self.filesystem.rm_file(f"{self._root}/{path}")

    def changed_at(self, path: str) -> datetime:
        """Return when a file was written, by the store's clock."""
        with self._told("read"):
            at: datetime = self.filesystem.modified(f"{self._root}/{path}")
        return at if at.tzinfo else at.replace(tzinfo=UTC)

    @contextmanager
    def lock(self, what: str) -> Iterator[None]:
        """Hold what only one run on this machine may do at a time.

        Raises
        ------
        CreateOSError
            Another one has held it for ten minutes.
        """
        name = hashlib.sha256(f"{self.name}\0{what}".encode("utf-8", "backslashreplace")).hexdigest()[:24]
        folder = Path(self._root, ".locks") if self.local else settings.home() / "archive-locks"
        with self._told("lock"):
            folder.mkdir(parents=True, exist_ok=True)
            held = FileLock(folder / f"{name}.lock", timeout=LOCK_WAIT_S)
            try:
                held.acquire()
            except Timeout:
                raise CreateOSError(
                    f"Another run has been collecting {one_line(what)} into {one_line(self.name)} for ten minutes. "
                    "Collect again when it is done."
                ) from None
        try:
            yield
        finally:
            held.release()

    @contextmanager
    def _told(self, what: str) -> Iterator[Any]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error) or type(error).__name__
            raise CreateOSError(
                f"Cannot {what} the archive at {one_line(self.name)}: {one_line(reason)}. What was collected "
                "before is kept; mend that, and collect again."
            ) from None
