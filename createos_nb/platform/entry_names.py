"""Entry names: the paths of an upload's files, each safe wherever it is written, and no two that are the same."""

from __future__ import annotations

import unicodedata

from createos_nb.errors import BadRequest

MAX_DEPTH = 40
MAX_NAME_BYTES = 1_024
MAX_PART_BYTES = 255
"""Length of one name between slashes; file systems allow no more."""
OWN_DIRECTORY = ".createos"
"""What a build adds to an upload stands there, so that no upload may have it."""

_JOINERS = dict.fromkeys((0x200C, 0x200D))
"""Invisible, and part of how Persian, Indic scripts and emoji are spelt; no two names may differ in them alone."""
_DEVICES = {"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(1, 10))}


class EntryNames:
    """The paths of one upload: each safe in itself, and no two that any file system would take for one."""

    def __init__(self) -> None:
        self._spelling: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._taken: dict[tuple[str, ...], bool] = {}

    def take(self, name: str) -> tuple[str, ...]:
        """Check one path (a directory's ends in ``/``) and return its parts."""
        directory = name.endswith("/")
        parts = tuple((name[:-1] if directory else name).split("/"))
        if problem := _problem(name, parts):
            raise refused(name, problem)
        for end in range(1, len(parts) + 1):
            is_directory = directory or end < len(parts)
            self._place(name, parts[:end], is_directory=is_directory, named=end == len(parts))
        return parts

    def _place(self, name: str, prefix: tuple[str, ...], *, is_directory: bool, named: bool) -> None:
        key = tuple(unicodedata.normalize("NFC", part).casefold().translate(_JOINERS) for part in prefix)
        spelling = self._spelling.setdefault(key, prefix)
        if spelling != prefix:
            raise refused(name, f"differs from {'/'.join(spelling)!a} only in case, accents or joiners")
        if key not in self._taken:
            self._taken[key] = is_directory
        elif not is_directory and not self._taken[key]:
            raise refused(name, "is there twice")
        elif self._taken[key] != is_directory:
            raise refused(name if named else "/".join(prefix), "is a file and a directory at once")


def _problem(name: str, parts: tuple[str, ...]) -> str | None:
    if not name:
        return "has no name"
    if name.startswith("/"):
        return "is an absolute path"
    if "\\" in name:
        return "has a backslash, which some systems take for a separator"
    visible = name.translate(_JOINERS)
    if any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in visible):
        return "has a control or invisible character"
    if len(name.encode()) > MAX_NAME_BYTES:
        return f"is longer than {MAX_NAME_BYTES:,} bytes"
    if len(parts) > MAX_DEPTH:
        return f"is more than {MAX_DEPTH} directories deep"
    if parts[0].casefold() == OWN_DIRECTORY:
        return "is where the platform keeps its own files of a build"
    return next((problem for part in parts if (problem := _part_problem(part))), None)


def _part_problem(part: str) -> str | None:
    if part in {"", ".", ".."}:
        return f"has {part!r} between its slashes"
    if part.endswith((".", " ")):
        return "has a part that ends in a dot or a space"
    if ":" in part:
        return "has a colon, which some systems take for a drive or a stream"
    if len(part.encode()) > MAX_PART_BYTES:
        return f"has a part longer than {MAX_PART_BYTES} bytes"
    if part.partition(".")[0].rstrip().casefold() in _DEVICES:
        return "is a device name on some systems"
    if part.casefold() == ".git":
        return "is part of a git repository's own files"
    return None


def refused(name: str, problem: str) -> BadRequest:
    """Return the refusal of an upload because of one of its entries."""
    shown = name if len(name) <= 120 else f"{name[:117]}..."
    return BadRequest.answer(
        f"The upload was refused: the entry {shown!a} {problem}. Rename it or leave it out, and upload again."
    )
