"""How a listing shows itself."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime

from createos_nb.api.apps import App
from createos_nb.api.deployments import BuildLogLine
from createos_nb.api.listing import Listing
from createos_nb.api.model import Model
from createos_nb.api.secret import Secret


class Kept(Model):
    name: str
    token: Secret | None = None
    rest: dict[str, str] | None = None


def app(number, name="shop"):
    return App(id=f"a-{number}", name=name, created_at=datetime(2026, 11, 24, 12, tzinfo=UTC))


def test_a_listing_is_a_table_of_its_first_rows():
    assert repr(Listing([app(1), app(2, "another shop")])) == (
        "Listing of 2\n"
        "id   name          created_at\n"
        "a-1  shop          2026-11-24 12:00:00Z\n"
        "a-2  another shop  2026-11-24 12:00:00Z"
    )


def test_it_says_that_it_is_incomplete_and_how_many_it_shows():
    shown = repr(Listing([app(number) for number in range(12)], complete=False, total=40))
    assert shown.splitlines()[0] == "Listing of 12 of 40, incomplete, the first 10 shown"
    assert len(shown.splitlines()) == 12
    assert repr(Listing([])) == "Listing of 0"


def test_of_a_log_the_end_is_shown_and_each_line_whole():
    lines = [
        BuildLogLine(
            ts=datetime(2026, 11, 24, 12, tzinfo=UTC), stage="build", line_number=number, log=f"{number} " * 50
        )
        for number in range(1, 27)
    ]
    shown = repr(Listing(lines)).splitlines()
    assert shown[0] == "Listing of 26, the last 10 shown"
    assert shown[1].split() == ["ts", "stage", "line_number", "log"]
    assert [line.split()[3] for line in shown[2:]] == [str(number) for number in range(17, 27)]
    assert shown[-1].endswith("26 " * 49 + "26")
    assert "26 " * 49 in Listing(lines)._repr_html_()
    assert "<td style='text-align:left;white-space:pre-wrap'>" in Listing(lines)._repr_html_()
    assert "style" not in Listing([app(1)])._repr_html_()


def test_no_name_becomes_markup_or_another_line_and_no_secret_is_shown():
    hostile = Kept(name="<script>alert(1)</script>\n\x1b[2J", token="s3cret", rest={"a": "b"})
    listing = Listing([hostile])
    assert "<script>" not in listing._repr_html_()
    assert "&lt;script&gt;" in listing._repr_html_()
    for view in (repr(listing), listing._repr_html_()):
        assert "s3cret" not in view
        assert "\x1b" not in view
        assert "rest" not in view
    assert len(repr(listing).splitlines()) == 3


def test_equal_listings_are_equal_and_survive_pickling():
    listing = Listing([app(1)], complete=False, total=7)
    assert listing == Listing([app(1)], complete=False, total=7) != Listing([app(1)])
    again = pickle.loads(pickle.dumps(listing))
    assert (list(again), again.complete, again.total) == (list(listing), False, 7)


def test_a_part_of_a_listing_says_that_it_is_a_part():
    whole = Listing([1, 2, 3])
    assert (list(whole[:2]), whole[:2].complete, whole[:2].total) == ([1, 2], False, 3)
    assert whole[:].complete
    assert not Listing([1, 2, 3], complete=False)[:].complete
