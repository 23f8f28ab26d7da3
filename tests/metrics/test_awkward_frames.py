"""Whatever frame comes: a result of the promised columns, or one line that names the column (SAFETY N13)."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pandas as pd
import pytest

import createos_nb.accessor
from createos_nb import metrics, schema
from createos_nb.errors import FrameError
from tests.metrics.traffic import NOON

END = "2026-11-24T00:00Z"
OVER_TIME = schema.sample("REQUESTS_OVER_TIME")
MADE = schema.sample("DEPLOYMENTS")
INCIDENTS = metrics.incidents(OVER_TIME)
COMMITS = schema.COMMITS.frame([{"commit": "a", "committed_at": NOON}])
JOURNAL = schema.JOURNAL.frame([{"at": NOON, "run": "r", "kind": "rollback", "state": "done", "project": "shop"}])


def days(over_time, number):
    """Return traffic of other days."""
    return over_time.assign(timestamp=over_time["timestamp"] + pd.Timedelta(days=number))


# What each kind of frame may be given to: every function, and every place of it that takes a frame.
ASKED = {
    "REQUESTS_OVER_TIME": {
        **{name: getattr(metrics, name) for name in ("error_rate", "rpm", "success_share", "summary")},
        **{name: getattr(metrics, name) for name in ("objectives", "burn_rates", "incidents", "change_points")},
        "compare": lambda frame: metrics.compare(frame, days(OVER_TIME, -1)),
        "compare, baseline": lambda frame: metrics.compare(days(OVER_TIME, 1), frame),
    },
    "TOP_HIT_PATHS": {
        "movers": lambda frame: metrics.movers(frame, schema.sample("TOP_HIT_PATHS")),
        "movers, before": lambda frame: metrics.movers(schema.sample("TOP_HIT_PATHS"), frame),
    },
    "TOP_ERROR_PATHS": {
        "movers": lambda frame: metrics.movers(frame, schema.sample("TOP_ERROR_PATHS")),
        "movers, before": lambda frame: metrics.movers(schema.sample("TOP_ERROR_PATHS"), frame),
    },
    "DEPLOYMENTS": {"dora": lambda frame: metrics.dora(frame, end=END)},
    "COMMITS": {"dora, commits": lambda frame: metrics.dora(MADE, end=END, commits=frame)},
    "INCIDENTS": {"dora, incidents": lambda frame: metrics.dora(MADE, end=END, incidents=frame)},
    "JOURNAL": {"dora, journal": lambda frame: metrics.dora(MADE, end=END, journal=frame)},
}
FRAMES = {"COMMITS": COMMITS, "INCIDENTS": INCIDENTS, "JOURNAL": JOURNAL}
RESULTS = {
    "error_rate": "ERROR_RATE",
    "rpm": "RPM_OVER_TIME",
    "success_share": "SUCCESS_SHARE",
    "summary": "TRAFFIC_SUMMARY",
    "objectives": "OBJECTIVES",
    "burn_rates": "BURN_RATES",
    "incidents": "INCIDENTS",
    "movers": "MOVERS",
    "change_points": "CHANGE_POINTS",
    "compare": "COMPARISON",
    "dora": "DORA",
}
METHODS = (
    "objectives",
    "burn_rates",
    "incidents",
    "change_points",
    "error_rate",
    "rpm",
    "success_share",
    "summary",
)


def awkward(frame):
    """The frames that people have, and those that they should not have."""
    yield "empty", frame.head(0)
    yield "one row", frame.head(1)
    yield "turned round", frame.iloc[::-1]
    yield "twice", pd.concat([frame, frame])
    yield "indexed", frame.set_index(frame.columns[0], drop=False)
    yield "MultiIndex", frame.set_index([*frame.columns[:2]], drop=False)
    yield "lost in the index", frame.set_index(frame.columns[0])
    yield "MultiIndex columns", pd.concat({"a": frame}, axis=1)
    yield "transposed", frame.T
    yield "Arrow", frame.convert_dtypes(dtype_backend="pyarrow")
    yield "nullable", frame.convert_dtypes()
    yield "objects", frame.astype(object)
    yield "categories", frame.astype(dict.fromkeys(frame.columns, "category"))
    yield "every column twice", pd.concat([frame, frame], axis=1)
    for place, name in enumerate(frame.columns):
        yield f"without {name}", frame.drop(columns=name)
        yield f"{name} twice", pd.concat([frame, frame.iloc[:, place : place + 1]], axis=1)
        wrong = (
            None,
            "x\ny",
            -1,
            0,
            1.5,
            float("nan"),
            float("inf"),
            2**62,
            2**80,
            True,
            [1],
            {},
            b"x",
            1j,
            pd.NaT,
        )
        for value in wrong:
            yield f"{name} is {value!r}", frame.assign(**{name: pd.Series([value] * len(frame), index=frame.index)})
        if isinstance(frame[name].dtype, pd.DatetimeTZDtype):
            yield f"{name} naive", frame.assign(**{name: frame[name].dt.tz_localize(None)})
            yield f"{name} elsewhere", frame.assign(**{name: frame[name].dt.tz_convert("Asia/Kolkata")})
            yield f"{name} in ns", frame.assign(**{name: frame[name].dt.as_unit("ns")})
            mixed = [at.tz_convert("Asia/Tokyo" if row % 2 else "UTC") for row, at in enumerate(frame[name])]
            yield f"{name} mixed", frame.assign(**{name: pd.Series(mixed, dtype=object)})
            last = pd.Timestamp("9999-12-31 23:59:59", tz="UTC").as_unit("us")
            yield f"{name} at the end of time", frame.assign(**{name: last})


FRAME_OF = {kind: FRAMES.get(kind, schema.sample(kind) if kind not in FRAMES else None) for kind in ASKED}
AWKWARD = [
    pytest.param(kind, what, frame, id=f"{kind}: {what}"[:90])
    for kind, sample in FRAME_OF.items()
    # Every third of them: 200 are asked for, and twice as many are left.
    for what, frame in islice(awkward(sample), 0, None, 3)
]


def refusal(function, frame):
    try:
        return function(frame), None
    except FrameError as refused:
        return None, refused


def test_there_are_as_many_as_the_catalogue_asks_for():
    assert len(AWKWARD) >= 200


@pytest.mark.parametrize(("kind", "what", "frame"), AWKWARD)
def test_any_frame_gives_its_columns_or_one_line_that_names_a_column(kind, what, frame):
    before = frame.copy(deep=True)
    for name, function in ASKED[kind].items():
        told, refused = refusal(function, frame)
        if refused is None:
            if known := RESULTS.get(name.partition(",")[0]):
                schema.KINDS[known].check(told)
        else:
            assert "\n" not in str(refused), f"{name}: {refused}"
            named = [column for column in (*schema.KINDS[kind].names, "rows") if column in str(refused)]
            assert named, f"{name}: {refused}"
    pd.testing.assert_frame_equal(frame, before)


NO_FRAMES = [None, 3, "frame", [1], {"project": ["shop"]}, OVER_TIME["requests"], np.zeros((2, 2))]


@pytest.mark.parametrize("thing", NO_FRAMES, ids=lambda thing: type(thing).__name__)
def test_what_is_no_frame_is_refused_as_such(thing):
    for functions in ASKED.values():
        for name, function in functions.items():
            if thing is not None or not name.startswith("dora, "):  # None there is: not passed
                with pytest.raises(FrameError, match=f"not {type(thing).__name__}"):
                    function(thing)


@pytest.mark.parametrize("what", list(dict(awkward(OVER_TIME)))[::3])
def test_the_accessor_says_the_same_or_is_not_there(what):
    frame = dict(awkward(OVER_TIME))[what]
    if not hasattr(frame, "createos"):
        assert not set(metrics.NEEDED["success_share"]) <= set(frame.columns)
        return
    assert isinstance(frame.createos, createos_nb.accessor.CreateOSAccessor)
    for name in METHODS:
        told, refused = refusal(getattr(metrics, name), frame)
        said, again = refusal(lambda _, name=name: getattr(frame.createos, name)(), frame)
        assert str(refused) == str(again)
        if refused is None:
            pd.testing.assert_frame_equal(told, said)
