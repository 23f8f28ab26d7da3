"""Archives: the files of an upload, refused as a whole unless every entry is plain, safe and unambiguous.

Nothing is repaired: an entry that another reader would place elsewhere, or read differently, refuses the
upload and is named. Files are written to a fresh directory which takes its final name only when it is whole,
so a refused or interrupted upload leaves nothing behind.

The central directory is read by `zipfile`; what it does not check on every Python this package supports
(names it rewrites, entries that overlap, sizes that lie) is checked here.
"""

from __future__ import annotations

import io
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from createos_nb.errors import BadRequest
from createos_nb.platform.entry_names import EntryNames, refused

MAX_ARCHIVE_BYTES = 50_000_000
"""Size of an uploaded archive; the official client refuses larger ones too."""
MAX_ENTRIES = 10_000
MAX_TOTAL_BYTES = 500_000_000
"""Size of all files of one upload, inflated."""
_RATIO = 100
_RATIO_FREE_BYTES = 10_000_000
_CHUNK = 65_536
_NO_FILES = "The archive has no files. Send at least one."
_END_RECORD = b"PK\x05\x06"
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_DESCRIPTOR_SIZES = {12, 16, 20, 24}
_UNICODE_PATH = 0x7075
_UNIX = 3
_IN_UTF_8 = 0x800


@dataclass(frozen=True)
class _File:
    """One file to write: its checked parts, whether it may be executed, and its content in chunks."""

    parts: tuple[str, ...]
    content: Callable[[], Iterator[bytes]]
    executable: bool = False


def unpack_files(files: Mapping[str, bytes], into: Path) -> None:
    """Write uploaded files to a fresh directory, or refuse them all.

    Parameters
    ----------
    files
        Content by path; paths are relative and separated by ``/``.
    into
        The directory to make; its parent exists, itself it does not (or is empty).

    Raises
    ------
    BadRequest
        A path is unsafe or ambiguous, or there are too many bytes; the message names the entry.
    """
    if not files:
        raise BadRequest.answer("The upload has no files. Send at least one.")
    _refuse_above(len(files), MAX_ENTRIES)
    names = EntryNames()
    checked = [_File(names.take(name), _whole(content)) for name, content in files.items()]
    _write(checked, into, allowed=MAX_TOTAL_BYTES)


def unpack_zip(data: bytes, into: Path) -> None:
    """Write the files of a ZIP archive to a fresh directory, or refuse the archive.

    Parameters
    ----------
    data
        The archive, at most `MAX_ARCHIVE_BYTES`.
    into
        The directory to make; its parent exists, itself it does not (or is empty).

    Raises
    ------
    BadRequest
        The archive is damaged, ambiguous or too large, or one of its entries is not a plain file below
        the directory; the message names the entry.
    """
    if len(data) > MAX_ARCHIVE_BYTES:
        raise BadRequest.answer(
            f"The archive has {len(data):,} bytes; at most {MAX_ARCHIVE_BYTES:,} are accepted. "
            "Leave out build results."
        )
    entries = _entries(data)
    if not entries:
        raise BadRequest.answer(_NO_FILES)
    _refuse_above(len(entries), MAX_ENTRIES)
    names = EntryNames()
    files = []
    for entry in entries:
        _check_kind(entry)
        parts = names.take(_name(entry))
        if not entry.is_dir():
            files.append(_File(parts, _inflation(data, entry), _is_executable(entry)))
    _check_layout(data, entries)
    if not files:
        raise BadRequest.answer(_NO_FILES)
    _write(files, into, allowed=min(MAX_TOTAL_BYTES, _RATIO_FREE_BYTES + _RATIO * len(data)))


def unpack_kept(archive: Path, into: Path) -> None:
    """Write the files of an archive that was made here, of an upload that was checked, to a fresh directory."""
    with zipfile.ZipFile(archive) as kept:
        entries = [entry for entry in kept.infolist() if not entry.is_dir()]
        files = [
            _File(tuple(entry.filename.split("/")), partial(_stored, kept, entry), _is_executable(entry))
            for entry in entries
        ]
        _write(files, into, allowed=MAX_TOTAL_BYTES)


def _stored(kept: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    with kept.open(entry) as file:
        yield from iter(partial(file.read, _CHUNK), b"")


def _is_executable(entry: zipfile.ZipInfo) -> bool:
    return bool(entry.external_attr >> 16 & stat.S_IXUSR)


def _refuse_above(count: int, limit: int) -> None:
    if count > limit:
        raise BadRequest.answer(
            f"The upload has {count:,} entries; at most {limit:,} are accepted. Leave out installed packages."
        )


# --- the ZIP format ---------------------------------------------------------------------------------------


def _damaged(what: str) -> BadRequest:
    return BadRequest.answer(f"The archive was refused: {what}. Make it again with an ordinary ZIP tool.")


def _entries(data: bytes) -> list[zipfile.ZipInfo]:
    """Read the central directory, after making sure that there is one way to find it."""
    tail = max(0, len(data) - 22 - 65_535)
    ends = []
    at = data.find(_END_RECORD, tail)
    while at >= 0:
        if at + 22 <= len(data) and at + 22 + int.from_bytes(data[at + 20 : at + 22], "little") == len(data):
            ends.append(at)
        at = data.find(_END_RECORD, at + 1)
    if len(ends) != 1:
        raise _damaged("it is not one whole ZIP file" if not ends else "it can be read as two different archives")
    size, start = struct.unpack_from("<2I", data, ends[0] + 12)
    if start + size != ends[0]:
        raise _damaged("there is other data before, between or after its parts")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise _damaged(f"its directory is damaged ({error})") from None


def _check_kind(entry: zipfile.ZipInfo) -> None:
    name, mode = entry.orig_filename, entry.external_attr >> 16
    if entry.flag_bits & 0x2041:
        raise refused(name, "is encrypted")
    if not _is_named_aside(entry, entry.extra) and _in_utf_8(entry) is None:
        raise refused(name, "has letters in an unnamed encoding instead of UTF-8")
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise refused(name, "uses a compression other than deflate")
    expected = stat.S_IFDIR if name.endswith("/") else stat.S_IFREG
    if stat.S_IFMT(mode) not in {0, expected}:
        kind = "a symbolic link" if stat.S_ISLNK(mode) else "neither a file nor a directory"
        raise refused(name, f"is {kind}")
    if mode & (stat.S_ISUID | stat.S_ISGID):
        raise refused(name, "asks to run as another user")
    if name.endswith("/") and entry.file_size:
        raise refused(name, "is a directory with content")


def _name(entry: zipfile.ZipInfo) -> str:
    """Return the name of an entry."""
    return _in_utf_8(entry) or entry.orig_filename


def _in_utf_8(entry: zipfile.ZipInfo) -> str | None:
    """Return a name that is in UTF-8: because a flag says so, or it was written on Unix or has an extra field.

    zip 3.0 on Linux writes the field where the locale has UTF-8, and without it just the bytes of the name.
    """
    name = entry.orig_filename
    if name.isascii() or entry.flag_bits & _IN_UTF_8:
        return name
    if entry.create_system != _UNIX and not _is_named_aside(entry, entry.extra):
        return None
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeDecodeError:
        return None


def _is_named_aside(entry: zipfile.ZipInfo, extra: bytes) -> bool:
    """Whether an extra field repeats the name as UTF-8; refuse one that says another."""
    at, found = 0, False
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, at)
        field, at = extra[at + 4 : at + 4 + size], at + 4 + size
        if kind == _UNICODE_PATH:
            name = entry.orig_filename.encode("utf-8" if entry.flag_bits & _IN_UTF_8 else "cp437")
            if field != struct.pack("<BI", 1, zlib.crc32(name)) + name:
                raise refused(entry.orig_filename, "has two different names")
            found = True
    return found


def _check_layout(data: bytes, entries: Iterable[zipfile.ZipInfo]) -> None:
    """Refuse entries that overlap, leave gaps, or are described differently in their two headers."""
    start = struct.unpack_from("<I", data, data.rfind(_END_RECORD) + 16)[0]
    in_order = sorted(entries, key=lambda entry: entry.header_offset)
    expected = 0
    for entry, following in zip(in_order, [*(e.header_offset for e in in_order[1:]), start], strict=True):
        if entry.header_offset != expected:
            raise refused(entry.orig_filename, "does not begin where the entry before it ends")
        expected = following
        end = _content(data, entry).stop
        if following - end not in (_DESCRIPTOR_SIZES if entry.flag_bits & 0x08 else {0}):
            raise refused(entry.orig_filename, "overlaps the next entry or leaves a gap before it")


def _content(data: bytes, entry: zipfile.ZipInfo) -> range:
    """Where an entry's compressed content lies, after comparing its two headers."""
    if entry.header_offset + _LOCAL_HEADER.size > len(data):
        raise refused(entry.orig_filename, "lies outside the archive")
    header = _LOCAL_HEADER.unpack_from(data, entry.header_offset)
    signature, _, flags, method, _, _, crc, packed, size, name_length, extra_length = header
    at = entry.header_offset + _LOCAL_HEADER.size
    name = data[at : at + name_length]
    encoding = "utf-8" if flags & _IN_UTF_8 else "cp437"
    described = (name.decode(encoding, "replace"), method, flags & 0x801)
    if signature != b"PK\x03\x04" or described != (
        entry.orig_filename,
        entry.compress_type,
        entry.flag_bits & 0x801,
    ):
        raise refused(entry.orig_filename, "is described differently in the archive's two directories")
    _is_named_aside(entry, data[at + name_length : at + name_length + extra_length])
    sizes_follow = flags & 0x08 or 0xFFFFFFFF in (packed, size)
    if not sizes_follow and (crc, packed, size) != (entry.CRC, entry.compress_size, entry.file_size):
        raise refused(entry.orig_filename, "has two different sizes or checksums")
    begin = at + name_length + extra_length
    return range(begin, begin + entry.compress_size)


# --- content ----------------------------------------------------------------------------------------------


def _whole(content: bytes) -> Callable[[], Iterator[bytes]]:
    return lambda: iter((content,))


def _inflation(data: bytes, entry: zipfile.ZipInfo) -> Callable[[], Iterator[bytes]]:
    """Return a reader of an entry that never makes more than a chunk at once and believes no header."""

    def chunks() -> Iterator[bytes]:
        where = _content(data, entry)
        packed = data[where.start : where.stop]
        size = crc = 0
        for chunk in _inflated(packed, entry) if entry.compress_type else (packed,):
            size += len(chunk)
            crc = zlib.crc32(chunk, crc)
            yield chunk
        if (size, crc) != (entry.file_size, entry.CRC):
            raise refused(entry.orig_filename, "is damaged: its size or checksum is wrong")

    return chunks


def _inflated(packed: bytes, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    rest = packed
    try:
        while not inflater.eof:
            chunk = inflater.decompress(rest, _CHUNK)
            rest = inflater.unconsumed_tail
            if not chunk and not rest and not inflater.eof:
                raise refused(entry.orig_filename, "is cut off")
            yield chunk
    except zlib.error:
        raise refused(entry.orig_filename, "is damaged") from None
    if inflater.unused_data or rest:
        raise refused(entry.orig_filename, "has data after its end")


def _write(files: Iterable[_File], into: Path, *, allowed: int) -> None:
    """Write the files beside ``into`` and give the directory its name at the end."""
    staging = into.with_name(f".{into.name}.unpacking")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(mode=0o700)
    try:
        written = 0
        for file in files:
            path = staging.joinpath(*file.parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as target:
                for chunk in file.content():
                    written += len(chunk)
                    if written > allowed:
                        raise refused("/".join(file.parts), f"brings the upload above {allowed:,} bytes")
                    target.write(chunk)
            if file.executable:
                path.chmod(0o755)
        staging.rename(into)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
