from __future__ import annotations

import json
import stat
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from createos_nb import schema
from createos_nb.errors import CreateOSError
from createos_nb.plans.journal import GENESIS, Journal

HERE = "https://api.example"


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal.jsonl")


def written(journal, count):
    return [journal.write({"run": f"r{number}", "platform": HERE, "event": "intent"}) for number in range(count)]


def test_each_record_carries_the_hash_of_the_one_before(journal):
    hashes = written(journal, 3)
    records = journal.records()
    assert [record["previous"] for record in records] == [GENESIS, *hashes[:-1]]
    assert [record["hash"] for record in records] == hashes
    assert journal.tampered() is None


def test_a_record_says_when_and_who_and_is_for_its_owner_alone(journal):
    written(journal, 1)
    (record,) = journal.records()
    at = datetime.fromisoformat(record["at"])
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60
    assert record["user"]
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600


def lines(journal):
    return journal.path.read_bytes().splitlines(keepends=True)


TAMPERINGS = {
    "an edit": (lambda rows: [rows[0], rows[1].replace(b"r1", b"rX"), *rows[2:]], 1),
    "a cut in the middle": (lambda rows: [rows[0], *rows[2:]], 1),
    "a cut at the beginning": (lambda rows: rows[1:], 0),
    "a swap": (lambda rows: [rows[0], rows[2], rows[1], rows[3]], 1),
    "a repetition": (lambda rows: [*rows, rows[-1]], 4),
    "a forged hash": (lambda rows: [*rows[:3], rows[3].replace(b'"hash": "', b'"hash": "0')], 3),
}


@pytest.mark.parametrize(("tamper", "index"), TAMPERINGS.values(), ids=TAMPERINGS)
def test_a_change_of_the_past_shows(journal, tamper, index):
    written(journal, 4)
    journal.path.write_bytes(b"".join(tamper(lines(journal))))
    assert journal.tampered() == index


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_that_a_crash_left_unfinished_swallows_nothing(journal, cut):
    written(journal, 2)
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole + lines(journal)[-1][:cut])
    written(journal, 1)

    assert [record["run"] for record in journal.records()] == ["r0", "r1", "r0"]
    assert journal.tampered() is None


def test_a_record_longer_than_the_tail_that_is_read_keeps_the_chain(journal):
    journal.write({"platform": HERE, "detail": "x" * 200_000})
    written(journal, 1)
    assert journal.tampered() is None


def test_records_of_many_processes_make_one_chain(journal):
    code = (
        "import sys; from pathlib import Path; from createos_nb.plans.journal import Journal\n"
        "for n in range(25): Journal(Path(sys.argv[1])).write({'run': sys.argv[2], 'platform': 'p'})"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(journal.path), str(n)]) for n in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    assert len(journal.records()) == 100
    assert journal.tampered() is None


def test_what_was_acknowledged_survives_a_kill(journal):
    code = (
        "import sys; from pathlib import Path; from createos_nb.plans.journal import Journal\n"
        "while True: print(Journal(Path(sys.argv[1])).write({'platform': 'p'}), flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(journal.path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        seen = [writer.stdout.readline().strip() for _ in range(50)]
        writer.kill()
        seen += writer.stdout.read().splitlines()
    whole = [hash_ for hash_ in seen if len(hash_) == 64]
    assert [record["hash"] for record in journal.records()][: len(whole)] == whole
    written(journal, 1)
    assert journal.tampered() is None


def test_a_journal_that_cannot_be_written_stops_the_change(tmp_path):
    (tmp_path / "directory").mkdir()
    with pytest.raises(CreateOSError, match="Cannot write the journal"):
        Journal(tmp_path / "directory").write({"platform": HERE})


def test_a_full_disk_stops_the_change(tmp_path):
    code = (
        "import os; from pathlib import Path; from createos_nb.plans.journal import Journal\n"
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "Journal(Path('j')).write({'platform': 'p'})"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Cannot write the journal" in result.stderr


def test_rows_are_those_of_one_platform_and_fit_the_frame(journal):
    written(journal, 2)
    journal.write({"platform": "https://other.example", "run": "other"})
    journal.write(
        {"platform": HERE, "run": "r9", "state": "done", "detail": {"deployment_id": "d"}, "outcome": "ok"}
    )

    frame = schema.JOURNAL.frame(journal.rows(platform=HERE))
    assert list(frame["run"]) == ["r0", "r1", "r9"]
    assert list(frame["state"]) == ["intent", "intent", "done"]
    assert frame["detail"].iloc[-1] == "deployment_id=d"


def test_no_journal_is_an_empty_one(journal):
    assert (journal.records(), journal.rows(platform=HERE), journal.tampered()) == ([], [], None)


def test_a_record_is_one_line_whatever_is_in_it(journal):
    journal.write({"platform": HERE, "detail": "two\nlines\u2028and more\r", "before": {"at": datetime.now(UTC)}})
    assert len(lines(journal)) == 1
    assert json.loads(lines(journal)[0])["detail"] == "two\nlines\u2028and more\r"
    assert journal.tampered() is None


def test_the_default_journal_is_in_the_home(home):
    assert Journal().path == home / "journal.jsonl"
