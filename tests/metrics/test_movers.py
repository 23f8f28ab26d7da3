from __future__ import annotations

from collections import Counter

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from createos_nb import metrics, schema
from createos_nb.errors import FrameError


def top(counts, *, environment="production", statuses=None, limit=10, complete=True):
    """The platform's list of counts by path, or by path and status."""
    ranked = sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:limit]
    rows = [
        {"project": "shop", "environment": environment, "rank": rank, "path": key, "requests": count}
        if statuses is None
        else {
            "project": "shop",
            "environment": environment,
            "rank": rank,
            "path": key[0],
            "status": key[1],
            "requests": count,
        }
        for rank, (key, count) in enumerate(ranked, start=1)
    ]
    kind = schema.TOP_HIT_PATHS if statuses is None else schema.TOP_ERROR_PATHS
    return kind.frame(rows, complete=complete)


TEN = {f"/{letter}": 100 - place for place, letter in enumerate("abcdefghij")}


def by_path(told):
    return told.set_index("path").to_dict("index")


def test_a_path_in_both_lists_has_its_change():
    told = by_path(metrics.movers(top({"/a": 30, "/b": 10}), top({"/a": 20, "/b": 40})))
    assert (told["/a"]["change"], told["/a"]["relative_change"]) == (10, 0.5)
    assert (told["/b"]["change"], told["/b"]["relative_change"]) == (-30, -0.75)
    assert list(told) == ["/b", "/a"]


def test_a_path_that_left_a_full_list_is_at_most_the_last_one_listed_and_not_zero():
    told = by_path(metrics.movers(top(TEN), top({**TEN, "/gone": 500})))["/gone"]
    assert told["listed"] == "before"
    assert pd.isna(told["requests_after"])
    assert pd.isna(told["change"])
    assert pd.isna(told["relative_change"])
    assert (told["change_at_least"], told["change_at_most"]) == (-500, 91 - 500)


def test_a_path_that_a_short_list_does_not_hold_was_not_asked_for():
    told = by_path(metrics.movers(top({"/a": 30, "/new": 7}), top({"/a": 30})))["/new"]
    assert (told["listed"], told["requests_before"], told["change"]) == ("after", 0, 7)
    assert pd.isna(told["relative_change"])


def test_those_that_certainly_moved_come_before_those_that_may_have():
    """``/new`` rose by 5 at least; ``/a`` by 6 for certain."""
    told = metrics.movers(top({**TEN, "/a": 106, "/new": 96}), top(TEN))
    assert told["path"].tolist()[:2] == ["/a", "/new"]
    assert told["change_at_least"].tolist()[:2] == [6, 5]


def test_error_paths_are_told_apart_by_status():
    after = top({("/a", "500"): 9, ("/a", "404"): 3}, statuses=True)
    told = metrics.movers(after, top({("/a", "404"): 3}, statuses=True))
    assert told[["path", "status", "change"]].values.tolist() == [["/a", "500", 9], ["/a", "404", 0]]


def test_of_an_environment_that_may_be_missing_nothing_is_known():
    after = schema.TOP_HIT_PATHS.concat([top({"/a": 5}), top({"/a": 9}, environment="staging")])
    [row] = (
        metrics.movers(after, top({"/a": 5}, complete=False)).query("environment == 'staging'").to_dict("records")
    )
    assert pd.isna(row["requests_before"])
    assert pd.isna(row["change_at_least"])
    assert (row["change_at_most"], row["complete"]) == (9, False)
    whole = metrics.movers(after, top({"/a": 5})).query("environment == 'staging'")
    assert (whole["requests_before"].tolist(), whole["complete"].tolist()) == ([0], [True])


COUNTS = st.dictionaries(st.sampled_from([f"/{n}" for n in range(16)]), st.integers(1, 30), max_size=16)


@settings(deadline=None, max_examples=60)
@given(COUNTS, COUNTS)
def test_what_is_said_is_true_of_all_requests(after, before):
    """The lists are cut at ten, as the platform cuts them; the truth is that of the whole counts."""
    told = metrics.movers(top(after), top(before))
    assert set(told["path"]) == set(top(after)["path"]) | set(top(before)["path"])
    now, then = Counter(after), Counter(before)
    for row in told.to_dict("records"):
        change = now[row["path"]] - then[row["path"]]
        assert row["change_at_least"] <= change <= row["change_at_most"]
        for name, true in (
            ("change", change),
            ("requests_after", now[row["path"]]),
            ("requests_before", then[row["path"]]),
        ):
            assert pd.isna(row[name]) or row[name] == true
    if len(after) < 10 and len(before) < 10:
        assert told["change"].notna().all()


@settings(deadline=None, max_examples=60)
@given(COUNTS, COUNTS)
def test_turned_round_every_change_has_the_other_sign(after, before):
    there, back = by_path(metrics.movers(top(after), top(before))), by_path(metrics.movers(top(before), top(after)))
    for path, row in there.items():
        assert (row["change_at_least"], row["change_at_most"]) == (
            -back[path]["change_at_most"],
            -back[path]["change_at_least"],
        )


@pytest.mark.parametrize(
    ("after", "before", "named"),
    [
        (top(TEN), top({("/a", "500"): 1}, statuses=True), "'status'"),
        (top(TEN), top(TEN).query("path != '/a'"), "'rank'"),
        (top(TEN), pd.concat([top(TEN), top(TEN)]), "'rank'"),
        (top(TEN), top(TEN).assign(path="/a"), "'path' twice"),
        (top(TEN).assign(requests=-1), top(TEN), "'requests'.*negative"),
    ],
    ids=["kinds", "filtered", "twice", "same path", "negative"],
)
def test_lists_that_are_not_the_platforms_are_refused(after, before, named):
    with pytest.raises(FrameError, match=named):
        metrics.movers(after, before)


def test_windows_that_are_not_equally_long_are_refused():
    after = schema.sample("TOP_HIT_PATHS")
    earlier = after.assign(start=after["start"] - pd.Timedelta("10min"), end=after["start"])
    assert set(metrics.movers(after, earlier)["change"]) == {0}
    with pytest.raises(FrameError, match=r"600 s, another 86,400 s\. Ask for one length"):
        metrics.movers(after, earlier.assign(start=earlier["end"] - pd.Timedelta("1D")))
