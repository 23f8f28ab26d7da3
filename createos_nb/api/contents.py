"""Contents: what is uploaded, and what is left out and why."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import stat
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from createos_nb.api.ignore import Ignored
from createos_nb.api.withheld import content_reason, directory_reason, name_reason
from createos_nb.errors import InvalidArgument
from createos_nb.markup import one_line

MAX_FILES = 100
"""Files that one upload of text files takes; more go as a zip archive."""

MAX_TEXT_BYTES = 4 * 1024 * 1024
"""Bytes of an upload of text files; more go as a zip archive, which is smaller."""

MAX_ZIP_BYTES = 50_000_000
"""The official client's limit of a zip upload."""

_MAX_BYTES = 4 * MAX_ZIP_BYTES
_NAMED = 5
"""Files left out that a refusal names."""

Way = Literal["files", "base64", "zip"]
"""How an upload is sent; each is an operation of its own."""

Uploadable = str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | Mapping[str, str | bytes]
"""A directory, some files below the working directory, or path to content."""


@dataclass(frozen=True)
class Contents:
    """Files as they would be uploaded.

    Attributes
    ----------
    files
        Relative path with forward slashes to content.
    left_out
        Relative path to the reason why it is not among them; directories end with a slash.
    executable
        Those of the files that may be executed.
    root
        The directory they were read from, if it was one.
    """

    files: dict[str, bytes] = field(repr=False)
    left_out: dict[str, str] = field(default_factory=dict)
    executable: frozenset[str] = frozenset()
    root: Path | None = None

    @property
    def name(self) -> str:
        """What to call them."""
        return f"{self.root.name}/" if self.root is not None else f"{len(self.files)} files"

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(map(len, self.files.values()))

    @property
    def digest(self) -> str:
        """Twelve hex digits of all paths, contents, and which of them may be executed."""
        whole = hashlib.sha256()
        for path, content in sorted(self.files.items()):
            whole.update(f"{path}\0{len(content)}\0{'x' * (path in self.executable)}\0".encode())
            whole.update(content)
        return whole.hexdigest()[:12]

    @property
    def way(self) -> Way:
        """How it is sent: as text where it is little and text, as base64 where it is little, else zipped."""
        if self.executable or len(self.files) > MAX_FILES or self.size > MAX_TEXT_BYTES:
            return "zip"
        try:
            for content in self.files.values():
                content.decode()
        except UnicodeDecodeError:
            return "base64"
        return "files"

    def arguments(self) -> dict[str, Any]:
        """Return what the operation of its `way` takes.

        Raises
        ------
        InvalidArgument
            It is more than 50 MB as a zip archive; the largest files are named.
        """
        if self.way == "zip":
            return {"file": self._zipped()}
        decode = bytes.decode if self.way == "files" else lambda content: base64.b64encode(content).decode()
        return {"files": [{"path": path, "content": decode(content)} for path, content in self.files.items()]}

    def _zipped(self) -> bytes:
        """Return the files as a zip archive, equal for equal files."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, content in sorted(self.files.items()):
                entry = zipfile.ZipInfo(path)
                entry.external_attr = (stat.S_IFREG | (0o755 if path in self.executable else 0o644)) << 16
                archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
        if buffer.tell() > MAX_ZIP_BYTES:
            raise self._too_large(f"{buffer.tell():,} bytes as a zip archive")
        return buffer.getvalue()

    def _too_large(self, what: str) -> InvalidArgument:
        largest = sorted(self.files, key=lambda path: -len(self.files[path]))[:5]
        named = ", ".join(f"{one_line(path)} ({len(self.files[path]):,})" for path in largest)
        return InvalidArgument(
            f"{self.name} is {what}; at most {MAX_ZIP_BYTES:,} can be uploaded. The largest: {named}. "
            "Leave some out with a .createosignore; nothing was uploaded."
        )


def contents(source: Uploadable) -> Contents:
    """Read what is to be uploaded.

    Left out are, each named in ``left_out``: version control, virtual environments, caches, links, files that
    hold secrets; and in a directory what git ignores, unless its ``.createosignore`` takes that back.

    Parameters
    ----------
    source
        A directory; or files below the working directory, each by its path; or relative path to content.

    Raises
    ------
    InvalidArgument
        There is nothing to upload, something cannot be read, or it is larger than an upload may be.
    """
    if isinstance(source, Mapping):
        return _given(source)
    if not isinstance(source, (str, os.PathLike)):
        return _collected(None, _listed([Path(path) for path in source]))
    # Not pathlib's expanduser, which raises an error of its own for a user there is not.
    root = Path(os.path.expanduser(source))
    if not root.is_dir():
        raise InvalidArgument(f"{root} is not a directory. Give the one that holds the application's files.")
    return _collected(root, _walked(root))


def is_relative(path: str) -> bool:
    """Whether this is the relative path of a file, with forward slashes, that leads nowhere else."""
    pure = PurePosixPath(path)
    return path == pure.as_posix() and not pure.is_absolute() and not {"..", "."} & {*pure.parts, pure.name or "."}


def _given(files: Mapping[str, str | bytes]) -> Contents:
    kept: dict[str, bytes] = {}
    left_out: dict[str, str] = {}
    for path, content in files.items():
        data = _encoded(path, content)
        folders, name = PurePosixPath(path).parts[:-1], PurePosixPath(path).name
        if not is_relative(path):
            raise InvalidArgument(f"{path!r} is no relative path with forward slashes. Write it like src/main.py.")
        _check_name(path)
        reason = next(filter(None, map(directory_reason, folders)), "")
        if reason := reason or name_reason(name) or content_reason(name, data):
            left_out[path] = reason
        else:
            kept[path] = data
    return _checked(Contents(kept, left_out))


def _encoded(path: str, content: object) -> bytes:
    try:
        if isinstance(content, str):
            return content.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(f"{path!r} has a character that no UTF-8 can hold. Give its bytes.") from None
    if isinstance(content, bytes | bytearray | memoryview):
        return bytes(content)
    raise InvalidArgument(f"The content of {path!r} must be text or bytes, not {type(content).__name__}.")


def _collected(root: Path | None, found: Iterable[tuple[str, Path, str]]) -> Contents:
    """Read the files among what was found: relative path, path, and why it is left out."""
    files: dict[str, bytes] = {}
    left_out: dict[str, str] = {}
    executable: set[str] = set()
    size = 0
    for relative, path, reason in found:
        if reason:
            left_out[relative] = reason
            continue
        _check_name(relative)
        content, mode = _read(path)
        if reason := content_reason(path.name, content):
            left_out[relative] = reason
            continue
        files[relative] = content
        if mode & stat.S_IXUSR:
            executable.add(relative)
        size += len(content)
        if size > _MAX_BYTES:
            raise Contents(files, left_out, root=root)._too_large(f"more than {_MAX_BYTES:,} bytes")
    return _checked(Contents(files, left_out, frozenset(executable), root))


def _checked(found: Contents) -> Contents:
    if not found.files:
        named = "; ".join(f"{path!r}: {reason}" for path, reason in islice(found.left_out.items(), _NAMED))
        more = f"; and {len(found.left_out) - _NAMED} more" if len(found.left_out) > _NAMED else ""
        left_out = f" All were left out: {named}{more}." if named else ""
        if any(reason.endswith("ignore") for reason in found.left_out.values()):
            left_out += " Take back what is meant with a line such as !* in a .createosignore beside it."
        raise InvalidArgument(f"{found.root or 'This'} has no file to upload.{left_out}")
    return found


def _walked(root: Path) -> Iterator[tuple[str, Path, str]]:
    ignored = Ignored(root)
    for folder, names, filenames in os.walk(root, onerror=_unreadable):
        below = Path(folder).relative_to(root).as_posix()
        prefix = "" if below == "." else below + "/"
        ignored.enter(prefix)
        entered = []
        for name in sorted(names):
            path, relative = Path(folder, name), prefix + name
            reason = directory_reason(name) or ("a link" if path.is_symlink() else "")
            reason = reason or ("virtual environment" if (path / "pyvenv.cfg").exists() else "")
            if reason := reason or ignored.reason(relative, directory=True):
                yield relative + "/", path, reason
            else:
                entered.append(name)
        names[:] = entered
        for name in sorted(filenames):
            path = Path(folder, name)
            yield prefix + name, path, _reason(path) or ignored.reason(prefix + name)


def _listed(paths: list[Path]) -> Iterator[tuple[str, Path, str]]:
    here = Path.cwd()
    for path in sorted(set(paths)):
        whole = Path(os.path.normpath(here / path))
        if not whole.is_relative_to(here) or whole.is_dir() or not whole.exists():
            raise InvalidArgument(
                f"{path} is not a file below {here}. Give files below the working directory, a directory, or a "
                "mapping of relative path to content."
            )
        relative = whole.relative_to(here)
        reason = next(filter(None, map(directory_reason, relative.parts[:-1])), "")
        if not reason and any(parent.is_symlink() for parent in (here / relative).parents if parent != here):
            reason = "below a link"
        yield relative.as_posix(), whole, reason or _reason(whole)


def _reason(path: Path) -> str:
    if reason := name_reason(path.name):
        return reason
    if path.is_symlink():
        return "a link"
    return "" if stat.S_ISREG(path.lstat().st_mode) else "not a regular file"


def _check_name(relative: str) -> None:
    if not relative.isprintable() or "\\" in relative:
        raise InvalidArgument(
            f"The name of {relative!a} has letters that no upload may have. Rename it, or leave it out with a "
            ".createosignore; nothing was uploaded."
        )


def _read(path: Path) -> tuple[bytes, int]:
    """Return what is in a file and its mode, unless it changes while it is read."""
    for _ in range(2):
        try:
            # It may have become a link or a pipe since it was looked at: neither is followed nor waited for.
            opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(opened, "rb") as file:
                before = os.fstat(opened)
                # A larger one is refused below by its size; it need not be in memory for that.
                content = file.read(_MAX_BYTES + 1) if stat.S_ISREG(before.st_mode) else b""
                after = os.stat(path, follow_symlinks=False)
        except OSError as error:
            raise InvalidArgument(f"Cannot read {path}: {error.strerror}. Nothing was uploaded.") from None
        unchanged = (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)
        if stat.S_ISREG(before.st_mode) and unchanged and len(content) in {after.st_size, _MAX_BYTES + 1}:
            return content, before.st_mode
    raise InvalidArgument(f"{path} changes while it is read. Wait until it is written; nothing was uploaded.")


def _unreadable(error: OSError) -> None:
    raise InvalidArgument(f"Cannot read {error.filename}: {error.strerror}. Nothing was uploaded.")
