"""A list comes whole, or says that it is not, whatever it does while it is read (SAFETY H13)."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from createos_nb.api.answer import Answer
from createos_nb.api.envelope import data_of
from createos_nb.api.exchange import parsed
from createos_nb.api.listing import Listing, Page
from createos_nb.api.message import Request
from createos_nb.api.model import Model
from createos_nb.api.paging import Found, pages
from tests.api.played import Played, success


def found(request, response):
    page = parsed(request, Page.model_validate, data_of(request, response))
    return Found(page.data, page.data, page.pagination.total)


class Server:
    """A paged list, newest first, that changes between requests as it is told to."""

    def __init__(self, rows, change=lambda _rows: None, *, total=len, most=20):
        self.rows = list(rows)
        self.always = set(self.rows)
        self.change, self.total, self.most = change, total, most
        self.limits: list[int] = []

    def __call__(self, request):
        limit, offset = int(request.query["limit"]), int(request.query["offset"])
        self.limits.append(limit)
        rows = self.rows[offset : offset + min(limit, self.most)]
        pagination = {"limit": limit, "offset": offset, "count": len(rows)}
        if (total := self.total(self.rows)) is not None:
            pagination["total"] = total
        answer = success({"data": list(rows), "pagination": pagination})
        self.change(self.rows)
        self.always &= set(self.rows)
        assert len(self.limits) <= 1000, "the walk must end"
        return answer

    def walk(self, *, page_size=20, max_rows=None):
        def page(limit, offset):
            return Request(
                "ListThings",
                "GET",
                "/v1/things",
                "/v1/things",
                "read",
                {"limit": str(limit), "offset": str(offset)},
            )

        played = Played(pages(page, found, page_size=page_size, max_rows=max_rows), self)
        assert played.error is None
        return played.value


@pytest.mark.parametrize("size", [0, 1, 2, 3, 17, 18, 19, 20, 21, 38, 39, 40, 100, 400])
@pytest.mark.parametrize("page_size", [1, 2, 3, 20])
@pytest.mark.parametrize("total", [len, lambda _rows: None], ids=["total", "no total"])
def test_a_list_that_stands_still_comes_whole_and_in_order(size, page_size, total):
    server = Server(range(size), total=total)
    listing = server.walk(page_size=page_size)
    assert list(listing) == list(range(size))
    assert listing.complete
    if page_size == 20 and total is len:
        assert len(server.limits) <= size // 18 + 1


@pytest.mark.parametrize(
    ("size", "max_rows", "rows", "complete"),
    [(100, 30, 30, False), (100, 100, 100, True), (5, 30, 5, True), (30, 30, 30, True), (31, 30, 30, False)],
)
def test_max_rows_is_kept_and_said(size, max_rows, rows, complete):
    listing = Server(range(size)).walk(max_rows=max_rows)
    assert (len(listing), listing.complete) == (rows, complete)


def inserting(count):
    fresh = iter(range(-1, -(10**9), -1))
    return lambda _rng: lambda rows: rows.__setitem__(slice(0, 0), [next(fresh) for _ in range(count)])


def deleting(count):
    return lambda _rng: lambda rows: rows.__delitem__(slice(0, count))


def scattered(rng):
    def change(rows):
        for _ in range(rng.randint(0, 4)):
            if rows:
                rows.pop(rng.randrange(len(rows)))
        if rng.random() < 0.3:
            rows.insert(0, -rng.randrange(1, 10**12))

    return change


def at_once(rng):
    when = rng.randint(1, 15)
    left = iter(range(10**6))
    return lambda rows: rows.__delitem__(slice(0, rng.randint(1, 300))) if next(left) == when else None


PATTERNS = {
    "1 insert a page": inserting(1),
    "25 inserts a page": inserting(25),
    "1 delete a page": deleting(1),
    "3 deletes a page": deleting(3),
    "25 deletes a page": deleting(25),
    "scattered": scattered,
    "many at once": at_once,
}


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
@pytest.mark.parametrize("page_size", [1, 5, 20])
def test_a_list_that_changes_while_it_is_read_is_whole_or_says_that_it_is_not(pattern, page_size):
    for seed in range(500):  # 10,500 walks in all
        rng = random.Random(seed)
        server = Server(range(rng.randint(0, 200 if page_size == 20 else 60)), pattern(rng))
        listing = server.walk(page_size=page_size)

        assert max(Counter(listing).values(), default=1) == 1
        missed = server.always - set(listing)
        assert not (missed and listing.complete), f"seed {seed}: {len(missed)} rows missed and nothing said"


def test_an_empty_page_in_the_middle_is_not_taken_for_the_end():
    server = Server(range(100))
    asked = []

    def answer(request):
        asked.append(request)
        if len(asked) == 3:
            return success({"data": [], "pagination": {"total": 100}})
        return server(request)

    listing = Played(numbers(), answer).value
    assert set(listing) == set(range(100)) or not listing.complete


def test_rows_without_an_id_are_told_apart_by_all_that_they_say():
    rows = [{"name": f"r{number}", "value": number % 3} for number in range(50)]

    def answer(request):
        limit, offset = int(request.query["limit"]), int(request.query["offset"])
        return success({"data": rows[offset : offset + limit], "pagination": {"total": 50}})

    class Row(Model):
        name: str
        value: int

    listing = Played(numbers(Answer(Listing[Row]).page), answer).value
    assert ([row.name for row in listing], listing.complete) == ([row["name"] for row in rows], True)
    rows[7] = rows[6]  # two that cannot be told apart: then there is one row too few, which is said
    assert not Played(numbers(Answer(Listing[Row]).page), answer).value.complete


@pytest.mark.parametrize("deleted", [1, 3, 25])
def test_deletions_lose_no_row_that_stays(deleted):
    server = Server(range(400), deleting(deleted)(None))
    listing = server.walk()
    assert server.always <= set(listing)
    assert listing.complete
    assert len(server.limits) <= 50


@pytest.mark.parametrize(
    "server",
    [
        pytest.param(Server(range(400), total=lambda _rows: 10**6), id="a total that is too high"),
        pytest.param(Server(range(400), total=lambda _rows: 5), id="a total that is too low"),
        pytest.param(Server(range(400), most=7), id="pages smaller than asked for"),
        pytest.param(Server(range(400), most=7, total=lambda _rows: None), id="smaller pages and no total"),
    ],
)
def test_a_server_that_errs_about_its_pages_misleads_nobody(server):
    listing = server.walk()
    assert set(listing) == set(range(400)) or not listing.complete


@pytest.mark.parametrize("total", [400, None])
def test_a_server_that_ignores_the_offset_is_noticed(total):
    def answer(_request):
        return success({"data": list(range(20)), "pagination": {} if total is None else {"total": total}})

    listing = Played(numbers(), answer).value
    assert (list(listing), listing.complete) == (list(range(20)), False)


@pytest.mark.parametrize("total", [400, None])
def test_pages_without_end_come_to_an_end(total):
    fresh = iter(range(10**9))
    asked = []

    def answer(request):
        asked.append(request)
        assert len(asked) <= 1000
        rows = [next(fresh) for _ in range(20)]
        return success({"data": rows, "pagination": {} if total is None else {"total": total}})

    assert not Played(numbers(), answer).value.complete


def numbers(read=found):
    return pages(
        lambda limit, offset: Request("L", "GET", "/l", "/l", "read", {"limit": str(limit), "offset": str(offset)}),
        read,
        page_size=20,
        max_rows=None,
    )
