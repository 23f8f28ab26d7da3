"""SAFETY U01, U02, U03: archives that would escape, that would fill the disk, that can be read in two ways."""

from __future__ import annotations

import io
import shutil
import stat
import struct
import warnings
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from createos_nb.errors import BadRequest
from createos_nb.platform import archives


@pytest.fixture
def into(tmp_path):
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    return uploads / "source"


def zipped(*entries, compression=zipfile.ZIP_DEFLATED, change=None):
    """Make an archive of (name, content) pairs; ``change`` may alter each ZipInfo first."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", compression) as archive:
        warnings.simplefilter("ignore")  # zipfile warns of duplicate names, which are wanted here
        for name, content in entries:
            info = zipfile.ZipInfo("placeholder")
            info.filename = name
            info.compress_type = compression
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            if change:
                change(info)
            archive.writestr(info, content)
    return buffer.getvalue()


def mode(value):
    def change(info):
        info.external_attr = value << 16

    return change


def refusal(unpack, content, into):
    with pytest.raises(BadRequest) as caught:
        unpack(content, into)
    assert list(into.parent.iterdir()) == [], "a refused upload left something behind"
    return caught.value.detail


def tree(directory):
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def test_files_are_written_below_the_directory(into):
    files = {"main.py": b"print()", "pages/deep/index.html": b"<p>", "empty": b""}
    archives.unpack_files(files, into)
    assert tree(into) == files


def test_a_zip_is_written_as_it_is(into):
    files = {"main.py": b"print()" * 1000, "pages/ü.html": b"<p>", "empty": b""}
    archives.unpack_zip(zipped(("pages/", b""), *files.items(), change=lambda i: mode(0)(i)), into)
    assert tree(into) == files


def test_a_file_that_may_be_executed_stays_so(into):
    archives.unpack_zip(zipped(("run", b"#!/bin/sh"), change=mode(stat.S_IFREG | 0o755)), into)
    assert (into / "run").stat().st_mode & 0o777 == 0o755


def named_aside(name, aside):
    """An archive whose entry has a field with its name, or another, in UTF-8."""

    def change(info):
        field = struct.pack("<BI", 1, zlib.crc32(name.encode())) + aside.encode()
        info.extra = struct.pack("<2H", 0x7075, len(field)) + field

    return zipped((name, b""), change=change)


def test_a_name_that_zip_on_linux_says_to_be_in_utf_8_is_accepted(into):
    archive = named_aside("na__ve.txt", "naïve.txt").replace(b"na__ve.txt", "naïve.txt".encode())
    crcs = [struct.pack("<I", zlib.crc32(name.encode())) for name in ("na__ve.txt", "naïve.txt")]
    archives.unpack_zip(archive.replace(*crcs), into)
    assert tree(into) == {"naïve.txt": b""}


@pytest.mark.parametrize(("system", "name"), [(3, "naïve.txt"), (3, "pages/é.txt"), (3, "日本.txt")])
def test_a_name_that_zip_on_linux_writes_as_plain_bytes_of_utf_8_is_accepted(into, system, name):
    """As it does where the locale is C.UTF-8: without a flag, and without a field."""
    stands_in = "".join(letter if letter.isascii() else "_" * len(letter.encode()) for letter in name)
    archives.unpack_zip(written_on(system, stands_in).replace(stands_in.encode(), name.encode()), into)
    assert tree(into) == {name: b""}


@pytest.mark.parametrize(("system", "written"), [(0, "é".encode()), (3, "é".encode("latin-1") + b"_")])
def test_letters_of_which_nobody_says_how_they_are_written_are_refused(into, system, written):
    archive = written_on(system, "a__.txt").replace(b"__", written)
    assert "letters in an unnamed encoding" in refusal(archives.unpack_zip, archive, into)


def written_on(system, name):
    """An archive with one file, made on Unix (3) or on DOS (0)."""
    return zipped((name, b""), change=lambda info: setattr(info, "create_system", system))


def test_letters_that_joiners_stand_between_are_accepted(into):
    files = {"नमस्\u200cते.txt": b"", "👨\u200d👩\u200d👧.png": b""}
    archives.unpack_files(files, into)
    assert tree(into) == files


def test_a_name_that_is_another_in_a_field_beside_it_is_refused(into):
    assert "'main.py' has two different names" in refusal(archives.unpack_zip, named_aside("main.py", "../x"), into)
    archives.unpack_zip(named_aside("main.py", "main.py"), into)
    assert tree(into) == {"main.py": b""}


def test_two_names_that_differ_in_what_cannot_be_seen_alone_are_refused(into):
    said = refusal(archives.unpack_files, {"a\u200db": b"", "ab": b""}, into)
    assert "only in case, accents or joiners" in said


def test_what_is_kept_of_an_upload_comes_back_as_it_was(into):
    archives.unpack_zip(zipped(("pages/run", b"#!/bin/sh"), change=mode(stat.S_IFREG | 0o755)), into)
    (into / "ü.txt").write_bytes(b"plain")
    kept = shutil.make_archive(str(into.with_name("kept")), "zip", into)
    again = into.with_name("again")
    archives.unpack_kept(Path(kept), again)
    assert tree(again) == tree(into) == {"pages/run": b"#!/bin/sh", "ü.txt": b"plain"}
    assert [(again / name).stat().st_mode & 0o111 for name in ("pages/run", "ü.txt")] == [0o111, 0]


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_an_archive_written_as_a_stream_is_accepted(into, compression):
    class Unseekable(io.RawIOBase):
        def __init__(self):
            self.content = b""

        def writable(self):
            return True

        def write(self, content):
            self.content += bytes(content)
            return len(content)

    stream = Unseekable()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("a/main.py", b"print()" * 100)
        archive.writestr("b", b"")
    archives.unpack_zip(stream.content, into)
    assert tree(into) == {"a/main.py": b"print()" * 100, "b": b""}


def test_an_archive_with_a_comment_is_accepted(into):
    data = bytearray(zipped(("main.py", b"x")))
    data[-2:] = (5).to_bytes(2, "little")
    archives.unpack_zip(bytes(data) + b"hello", into)
    assert tree(into) == {"main.py": b"x"}


NAMES = {
    "parent": "../main.py",
    "parent inside": "a/../../main.py",
    "dot": "./main.py",
    "only dots": "..",
    "absolute": "/etc/passwd",
    "drive": "C:/main.py",
    "stream": "main.py:hidden",
    "backslash": "a\\main.py",
    "unc": "\\\\server\\share",
    "nul": "main.py\x00.txt",
    "line feed": "a\nb",
    "escape": "a\x1b[31m",
    "right to left": "a\u202egpj.exe",
    "empty part": "a//b",
    "empty": "",
    "trailing dot": "a./b",
    "trailing space": "a /b",
    "device": "aux",
    "device with suffix": "a/b/COM1.txt",
    "git hook": ".git/hooks/pre-commit",
    "git in capitals": "a/.GIT/config",
    "the platform's own": ".Createos/app",
    "long": "a" * 256,
    "long path": "/".join(["abcdefghij"] * 120),
    "deep": "/".join("a" * 41),
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
@pytest.mark.parametrize("form", ["files", "zip"])
def test_an_unsafe_name_refuses_the_whole_upload(into, name, form):
    if form == "files":
        detail = refusal(archives.unpack_files, {"good.py": b"x", name: b"y"}, into)
    else:
        detail = refusal(archives.unpack_zip, zipped(("good.py", b"x"), (name, b"y")), into)
    assert ascii(name)[1:100] in detail
    assert detail.isprintable()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("main.py", "MAIN.py"),
        ("a/x", "A/y"),
        ("é.py", "e\u0301.py"),
        ("straße", "STRASSE"),
        ("a", "a/b"),
        ("a/b", "a"),
    ],
    ids=["case", "directory case", "accents", "folding", "file then directory", "directory then file"],
)
def test_two_names_that_some_system_takes_for_one_are_refused(into, first, second):
    assert "entry" in refusal(archives.unpack_files, {first: b"x", second: b"y"}, into)
    assert "entry" in refusal(archives.unpack_zip, zipped((first, b"x"), (second, b"y")), into)


def test_a_duplicate_entry_is_refused(into):
    detail = refusal(archives.unpack_zip, zipped(("main.py", b"good"), ("main.py", b"evil")), into)
    assert "'main.py' is there twice" in detail


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (stat.S_IFLNK | 0o777, "a symbolic link"),
        (stat.S_IFIFO | 0o644, "neither a file nor a directory"),
        (stat.S_IFCHR | 0o644, "neither a file nor a directory"),
        (stat.S_IFSOCK | 0o644, "neither a file nor a directory"),
        (stat.S_IFDIR | 0o755, "neither a file nor a directory"),
        (stat.S_IFREG | 0o4755, "run as another user"),
    ],
    ids=["symlink", "fifo", "device", "socket", "directory without slash", "setuid"],
)
def test_what_is_not_a_plain_file_is_refused(into, kind, said):
    assert said in refusal(archives.unpack_zip, zipped(("thing", b"/etc/passwd"), change=mode(kind)), into)


def test_a_link_followed_by_a_file_through_it_is_refused(into):
    def change(info):
        if info.filename == "out":
            info.external_attr = (stat.S_IFLNK | 0o777) << 16

    data = zipped(("out", b"/tmp"), ("out/evil", b"x"), change=change)
    assert "'out' is a symbolic link" in refusal(archives.unpack_zip, data, into)


def test_an_encrypted_entry_is_refused(into):
    data = bytearray(zipped(("main.py", b"x")))
    central = data.index(b"PK\x01\x02")
    data[6] |= 1
    data[central + 8] |= 1
    assert "'main.py' is encrypted" in refusal(archives.unpack_zip, bytes(data), into)


def test_an_unusual_compression_is_refused(into):
    data = zipped(("main.py", b"x"), compression=zipfile.ZIP_LZMA)
    assert "compression other than deflate" in refusal(archives.unpack_zip, data, into)


def test_too_many_entries_are_refused(into, monkeypatch):
    monkeypatch.setattr(archives, "MAX_ENTRIES", 3)
    files = [(f"f{n}", b"") for n in range(4)]
    assert "at most 3" in refusal(archives.unpack_zip, zipped(*files), into)
    assert "at most 3" in refusal(archives.unpack_files, dict(files), into)


def test_a_bomb_is_stopped_while_it_is_inflated(into):
    bomb = zipped(("zeros", bytes(50_000_000)))
    assert len(bomb) < 100_000
    assert "brings the upload above" in refusal(archives.unpack_zip, bomb, into)


def test_a_bomb_that_lies_about_its_size_is_stopped(into):
    data = bytearray(zipped(("zeros", bytes(50_000_000))))
    central = data.index(b"PK\x01\x02")
    data[22:26] = data[central + 24 : central + 28] = struct.pack("<I", 10)
    assert "'zeros'" in refusal(archives.unpack_zip, bytes(data), into)


def test_entries_that_share_their_content_are_refused(into):
    """The overlapping bomb: many directory entries, one content."""
    data = zipped(("a", b"x" * 1000), ("b", b"y" * 1000))
    first = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", first + 1)
    overlapped = bytearray(data)
    overlapped[second + 42 : second + 46] = struct.pack("<I", 0)
    assert "overlaps" in refusal(archives.unpack_zip, bytes(overlapped), into)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"#!/bin/sh\n" + data,
        lambda data: data + b"more",
        lambda data: data + data,
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda _: b"",
        lambda _: b"not a zip at all",
        lambda data: data.replace(b"main.py", b"evil.py", 1),
        lambda data: data[:14] + b"\x00\x00\x00\x00" + data[18:],
        lambda data: data[:33] + b"junk" + data[37:],
    ],
    ids=["prefix", "trailing", "joined", "cut", "half", "empty", "text", "two names", "two checksums", "damaged"],
)
def test_an_ambiguous_or_damaged_archive_is_refused(into, change):
    refusal(archives.unpack_zip, change(zipped(("main.py", b"x" * 100), ("other.py", b"y"))), into)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_content_that_does_not_fit_its_checksum_is_refused(into, compression):
    data = bytearray(zipped(("main.py", b"hello hello hello"), compression=compression))
    central = data.index(b"PK\x01\x02")
    data[14:18] = data[central + 16 : central + 20] = b"\x01\x02\x03\x04"
    assert "'main.py' is damaged" in refusal(archives.unpack_zip, bytes(data), into)


def test_data_after_the_end_of_a_compressed_entry_is_refused(into):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(b"good") + packer.flush() + b"hidden"
    data = bytearray(zipped(("main.py", packed), compression=zipfile.ZIP_STORED))
    central = data.index(b"PK\x01\x02")
    for method, crc, size in ((8, 14, 22), (central + 10, central + 16, central + 24)):
        data[method : method + 2] = struct.pack("<H", 8)
        data[crc : crc + 4] = struct.pack("<I", zlib.crc32(b"good"))
        data[size : size + 4] = struct.pack("<I", 4)
    assert "data after its end" in refusal(archives.unpack_zip, bytes(data), into)


@pytest.mark.parametrize("comment", [b"PK\x05\x06" + bytes(18), b"PK\x05\x06" + bytes(16) + b"\x04\x00more"])
def test_an_archive_with_two_ends_is_refused(into, comment):
    data = bytearray(zipped(("main.py", b"x")))
    data[-2:] = len(comment).to_bytes(2, "little")
    refusal(archives.unpack_zip, bytes(data) + comment, into)


def test_an_upload_without_files_is_refused(into):
    assert "no files" in refusal(archives.unpack_files, {}, into)
    assert "no files" in refusal(archives.unpack_zip, zipped(("only/", b""), change=mode(0)), into)
    assert "no files" in refusal(archives.unpack_zip, zipped(), into)


def test_a_full_disk_leaves_nothing_behind(into):
    def breaks():
        yield b"x"
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        archives._write([archives._File(("a",), breaks)], into, allowed=100)
    assert list(into.parent.iterdir()) == []


def test_what_an_interrupted_upload_left_is_replaced(into):
    stale = into.with_name(f".{into.name}.unpacking")
    stale.mkdir()
    (stale / "half").write_bytes(b"x")
    archives.unpack_files({"main.py": b"x"}, into)
    assert [path.name for path in into.parent.iterdir()] == ["source"]
    assert tree(into) == {"main.py": b"x"}


@given(data=st.binary(max_size=400), at=st.integers(0, 300))
def test_no_change_of_an_archive_makes_anything_but_a_refusal_or_the_same_files(tmp_path_factory, data, at):
    original = zipped(("main.py", b"x" * 50), ("a/b", b"y" * 20))
    into = tmp_path_factory.mktemp("fuzz") / "source"
    try:
        archives.unpack_zip(original[:at] + data + original[at + len(data) :], into)
    except BadRequest:
        assert list(into.parent.iterdir()) == []
    else:
        assert all(path.resolve().is_relative_to(into) for path in into.rglob("*"))
