"""Contents: what of a directory is uploaded, and what is left out and why."""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import io
import os
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from createos_nb.errors import InvalidArgument

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

MAX_FILES = 100
"""Files that one upload of text files takes; more go as a zip archive."""

MAX_TEXT_BYTES = 4 * 1024 * 1024
"""Bytes of an upload of text files; more go as a zip archive, which is smaller."""

MAX_ZIP_BYTES = 50 * 1024 * 1024
"""The official client's limit of a zip upload."""

_SECRETS = "may hold secrets: use the environment's variables"

SKIPPED_DIRECTORIES = {
    ".git": "version control",
    ".hg": "version control",
    ".svn": "version control",
    "node_modules": "installed packages",
    ".venv": "virtual environment",
    "venv": "virtual environment",
    "__pycache__": "compiled files",
    ".ipynb_checkpoints": "checkpoints",
    ".pytest_cache": "cache",
    ".mypy_cache": "cache",
    ".ruff_cache": "cache",
    **dict.fromkeys((".createos", ".ssh", ".aws", ".gnupg", ".kube"), _SECRETS),
}
SECRET_NAMES = (
    ".env",
    ".env.*",
    "*.pem",
    "*.key",
    "id_rsa*",
    "id_ed25519*",
    ".netrc",
    ".pypirc",
    ".token",
    "credentials",
)
"""Files that hold secrets by custom; they are never uploaded. Use the environment's variables."""


@dataclass(frozen=True)
class Contents:
    """A directory as it would be uploaded.

    Attributes
    ----------
    files
        Relative path with forward slashes to content.
    left_out
        Relative path to the reason why it is not among them.
    """

    root: Path
    files: dict[str, bytes]
    left_out: dict[str, str]

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(map(len, self.files.values()))

    @property
    def digest(self) -> str:
        """Twelve hex digits of all paths and contents."""
        whole = hashlib.sha256()
        for path, content in sorted(self.files.items()):
            whole.update(f"{path}\0{len(content)}\0".encode())
            whole.update(content)
        return whole.hexdigest()[:12]

    def texts(self) -> dict[str, str] | None:
        """Return path to text when it fits an upload of text files, else None."""
        if len(self.files) > MAX_FILES or self.size > MAX_TEXT_BYTES:
            return None
        try:
            return {path: content.decode() for path, content in self.files.items()}
        except UnicodeDecodeError:
            return None

    def encoded(self) -> dict[str, str] | None:
        """Return path to base64 when it fits an upload of such files, else None."""
        if len(self.files) > MAX_FILES or self.size > MAX_TEXT_BYTES:
            return None
        return {path: base64.b64encode(content).decode() for path, content in self.files.items()}

    def zipped(self) -> bytes:
        """Return the files as a zip archive, equal for equal files."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, content in sorted(self.files.items()):
                archive.writestr(zipfile.ZipInfo(path), content, zipfile.ZIP_DEFLATED)
        return buffer.getvalue()


def contents(directory: str | os.PathLike[str]) -> Contents:
    """Read a directory as it would be uploaded.

    Version control, virtual environments, caches, links and files that hold secrets are left out, and what
    ``.gitignore`` says in any of its directories, unless ``.createosignore`` takes it back; each is named in
    ``left_out``.

    Raises
    ------
    InvalidArgument
        It is no directory, has nothing to upload, or is larger than an upload may be.
    """
    # Not pathlib's expanduser, which raises an error of its own for a user there is not.
    root = Path(os.path.expanduser(directory))
    if not root.is_dir():
        raise InvalidArgument(f"{root} is not a directory. Give the one that holds the application's files.")
    files: dict[str, bytes] = {}
    left_out: dict[str, str] = {}
    size = 0
    ignored = _Ignored(root)
    for folder, names, filenames in os.walk(root, onerror=_unreadable):
        ignored.enter(folder)
        for name in sorted(names):
            inner = _relative(root, folder, name) + "/"
            if name in SKIPPED_DIRECTORIES:
                left_out[inner] = SKIPPED_DIRECTORIES[name]
            elif Path(folder, name).is_symlink():
                left_out[inner] = "a link"
            elif reason := ignored.reason(inner):
                left_out[inner] = reason
        names[:] = sorted(name for name in names if _relative(root, folder, name) + "/" not in left_out)
        for name in sorted(filenames):
            path, relative = Path(folder, name), _relative(root, folder, name)
            if not relative.isprintable() or any("\ud800" <= character <= "\udfff" for character in relative):
                raise InvalidArgument(f"The name of {relative!r} is not text. Rename it; nothing was uploaded.")
            if reason := _reason(path) or ignored.reason(relative):
                left_out[relative] = reason
                continue
            files[relative] = _read(path)
            size += len(files[relative])
            if size > 4 * MAX_ZIP_BYTES:
                raise InvalidArgument(f"{root} holds more than {4 * MAX_ZIP_BYTES >> 20} MB. Upload less.")
    if not files:
        raise InvalidArgument(f"{root} has no file to upload ({len(left_out)} left out).")
    return Contents(root, files, left_out)


def _read(path: Path) -> bytes:
    """Return what is in a file, unless that changes while it is read."""
    for _ in range(2):
        try:
            before = path.stat()
            content = path.read_bytes()
            after = path.stat()
        except OSError as error:
            raise InvalidArgument(f"Cannot read {path}: {error.strerror}. Nothing was uploaded.") from None
        if (before.st_mtime_ns, before.st_size, before.st_ino) == (after.st_mtime_ns, len(content), after.st_ino):
            return content
    raise InvalidArgument(f"{path} changes while it is read. Wait until it is written; nothing was uploaded.")


class _Ignored:
    """What the directories' ``.gitignore`` and ``.createosignore`` leave out, with git's rules."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._rules: list[tuple[str, str, GitIgnoreSpec]] = []

    def enter(self, folder: str) -> None:
        """Read the files of one more directory; those of inner directories win over those of outer ones."""
        from pathspec import GitIgnoreSpec

        below = Path(folder).relative_to(self._root).as_posix()
        prefix = "" if below == "." else below + "/"
        for name in (".gitignore", ".createosignore"):
            file = Path(folder, name)
            if file.is_file() and not file.is_symlink():
                lines = _read(file).decode(errors="replace").splitlines()
                self._rules.append((prefix, name, GitIgnoreSpec.from_lines(lines)))

    def reason(self, relative: str) -> str:
        """Return which file leaves a path out, empty when none does; a directory's path ends with a slash."""
        found = ""
        # Ours win over git's, and in each kind the innermost has the last word.
        for prefix, name, rules in sorted(
            self._rules, key=lambda rule: (rule[1] == ".createosignore", len(rule[0]))
        ):
            if relative.startswith(prefix):
                include = rules.check_file(relative.removeprefix(prefix)).include
                found = found if include is None else f"{prefix}{name}" if include else ""
        return found


def _unreadable(error: OSError) -> None:
    raise InvalidArgument(f"Cannot read {error.filename}: {error.strerror}. Nothing was uploaded.")


def _relative(root: Path, folder: str, name: str) -> str:
    return Path(folder, name).relative_to(root).as_posix()


def _reason(path: Path) -> str:
    if any(fnmatch.fnmatch(path.name, pattern) for pattern in SECRET_NAMES):
        return _SECRETS
    if path.is_symlink():
        return "a link"
    return "" if stat.S_ISREG(path.lstat().st_mode) else "not a regular file"
