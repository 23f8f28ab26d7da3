from __future__ import annotations

import inspect
import subprocess
import sys
from itertools import islice

import pandas as pd
import pytest

import createos_nb.accessor
from createos_nb import charts, metrics, schema
from createos_nb.accessor import CreateOSAccessor
from createos_nb.charts.drawable import CHARTS
from createos_nb.errors import CreateOSError, FrameError
from createos_nb.metrics import NEEDED

DRAWN = {method: getattr(charts, name) for method, (_, name) in CHARTS.items()}
METHODS = {name: getattr(metrics, name) for name in NEEDED} | {"chart": charts.chart} | DRAWN
EVERY_METHOD = pytest.mark.parametrize(("name", "function"), METHODS.items(), ids=METHODS)


def sample(name="REQUESTS_OVER_TIME"):
    return schema.sample(name)


@EVERY_METHOD
def test_a_method_has_the_signature_of_its_function_but_for_the_frame(name, function):
    method = inspect.signature(getattr(CreateOSAccessor, name))
    _, *parameters = inspect.signature(function).parameters.values()
    _, *own = method.parameters.values()
    # Names of types are spelled out in some modules and imported in others.
    assert [(p.name, p.kind, p.default) for p in own] == [(p.name, p.kind, p.default) for p in parameters]
    assert [str(p.annotation) for p in own] == [str(p.annotation) for p in parameters]
    assert method.return_annotation == inspect.signature(function).return_annotation


@EVERY_METHOD
def test_a_method_begins_its_help_as_its_function_does(name, function):
    first_line = inspect.getdoc(function).splitlines()[0]
    assert inspect.getdoc(getattr(CreateOSAccessor, name)).splitlines()[0] == first_line


ASKED = {
    "objectives": {"objective": 0.9},
    "burn_rates": {"objective": 0.9},
    "incidents": {"threshold": 0.2, "quiet": "1m", "min_errors": 90},
    "change_points": {"significance": 0.3, "difference": 0.1, "min_requests": 200},
    "compare": {"baseline": sample().assign(timestamp=sample()["timestamp"] - pd.Timedelta("1D"))},
    "first_seen": {"since": "2m"},
    "movers": {"before": sample("TOP_HIT_PATHS").head(2)},
    "dora": {
        "since": "2d",
        "end": "2026-11-24T00:00Z",
        "commits": schema.COMMITS.empty(),
        "incidents": schema.INCIDENTS.empty(),
        "journal": schema.JOURNAL.empty(),
    },
}
"""Options of each method, none of them at its default."""
OF_OTHERS = {"movers": "TOP_HIT_PATHS", "dora": "DEPLOYMENTS", "patterns": "LOGS", "first_seen": "LOGS"}


@pytest.mark.parametrize("name", NEEDED)
def test_a_method_says_what_its_function_says(name):
    frame, options = sample(OF_OTHERS.get(name, "REQUESTS_OVER_TIME")), ASKED.get(name, {})
    said = getattr(frame.createos, name)(**options)
    pd.testing.assert_frame_equal(said, getattr(metrics, name)(frame, **options))


@pytest.mark.parametrize("name", [name for name in ASKED if name not in {"compare", "movers", "first_seen"}])
def test_what_a_method_is_asked_for_reaches_its_function(name):
    frame = sample(OF_OTHERS.get(name, "REQUESTS_OVER_TIME"))
    method = getattr((frame.head(4) if name == "change_points" else frame).createos, name)
    fixed = {option: value for option, value in ASKED[name].items() if option == "end"}
    for option, value in ASKED[name].items():
        if (name, option) == ("change_points", "significance"):
            continue  # which decides nothing in this sample: tests/metrics/test_change_points.py
        assert fixed.get(option) or not method(**fixed).equals(method(**fixed, **{option: value})), option


def test_the_chart_takes_deployments_as_its_function_does():
    drawn = sample().createos.chart(deployments=sample("DEPLOYMENTS"))
    assert drawn.to_dict() == charts.chart(sample(), sample("DEPLOYMENTS")).to_dict()


@pytest.mark.parametrize(
    ("frame", "offered"),
    [
        (sample(), [name for name in METHODS if name not in OF_OTHERS]),
        (sample().drop(columns="interval_s"), ["error_rate"]),
        (sample("LOGS"), ["chart", "first_seen", "patterns"]),
        (sample("TOP_HIT_PATHS"), ["chart", "movers"]),
        (sample("DEPLOYMENTS"), ["chart", "dora"]),
        (schema.SUMMARY.empty(), ["chart", "fleet_chart"]),
    ],
    ids=["over time", "without a column", "logs", "paths", "deployments", "summary"],
)
def test_only_what_the_columns_allow_is_offered(frame, offered):
    assert sorted(offered) == dir(frame.createos)


@pytest.mark.parametrize("jedi", [True, False])
def test_tab_in_ipython_offers_no_more(jedi):
    """In a process of its own, which has IPython when createos_nb is imported, as a notebook has."""
    code = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "from IPython.core.completer import provisionalcompleter\n"
        "import sys; sys.modules.pop('createos_nb.accessor', None)\n"
        "import createos_nb.accessor\n"
        "from createos_nb import schema\n"
        "shell = InteractiveShell.instance()\n"
        f"shell.Completer.use_jedi = {jedi}\n"
        "shell.user_ns['logs'] = schema.sample('LOGS')\n"
        "with provisionalcompleter():\n"
        "    found = {each.text.lstrip('.') for each in shell.Completer.completions('logs.createos.', 14)}\n"
        "print(sorted(name for name in found if not name.startswith('_')))\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "['chart', 'first_seen', 'patterns']"


@pytest.mark.parametrize(
    "frame",
    [
        sample("OVERALL_REQUESTS").drop(columns="start"),
        pd.DataFrame(),
        pd.DataFrame({"requests": [1]}),
        pd.concat({"a": sample()}, axis=1),
        sample().T,
    ],
    ids=["other", "nothing", "strange", "MultiIndex", "turned"],
)
def test_a_frame_without_the_columns_has_no_accessor(frame):
    assert not hasattr(frame, "createos")
    assert "createos" not in dir(frame)
    with pytest.raises(AttributeError, match=r"createos_nb\.schema"):
        _ = frame.createos


def test_a_method_that_is_not_offered_names_the_column_it_lacks():
    with pytest.raises(FrameError, match="no column 'interval_s'"):
        sample().drop(columns="interval_s").createos.rpm()


def as_it_comes(frame):
    """The ways in which a person's frame differs from a fresh one."""
    yield "empty", frame.head(0)
    yield "one row", frame.head(1)
    yield "sorted", frame.iloc[::-1]
    yield "index", frame.set_index(frame.columns[-1], drop=False)
    yield "MultiIndex", frame.set_index([frame.columns[0], frame.columns[1]], drop=False)
    yield "Arrow", frame.convert_dtypes(dtype_backend="pyarrow")
    yield "objects", frame.astype(object)
    yield "categories", frame.astype(dict.fromkeys(frame.columns[:2], "category"))
    yield "duplicates", pd.concat([frame, frame])
    yield "a column twice", pd.concat([frame, frame.iloc[:, :3]], axis=1)
    for name in frame.columns:
        yield f"without {name}", frame.drop(columns=name)
        yield f"{name} missing", frame.assign(**{name: None})
        yield f"{name} is text", frame.assign(**{name: "x"})
        yield f"{name} is a number", frame.assign(**{name: 1.5})
        yield f"{name} is nought", frame.assign(**{name: 0})
        yield f"{name} is negative", frame.assign(**{name: -7})
        yield f"{name} is infinite", frame.assign(**{name: float("inf")})
        yield f"{name} is huge", frame.assign(**{name: 2**80})
        yield f"{name} is a list", frame.assign(**{name: [[1]] * len(frame)})
        if isinstance(frame[name].dtype, pd.DatetimeTZDtype):
            yield f"{name} naive", frame.assign(**{name: frame[name].dt.tz_localize(None)})
            yield f"{name} elsewhere", frame.assign(**{name: frame[name].dt.tz_convert("Asia/Kolkata")})
            mixed = [at.tz_convert("Asia/Tokyo" if row % 2 else "UTC") for row, at in enumerate(frame[name])]
            yield f"{name} mixed", frame.assign(**{name: pd.Series(mixed, dtype=object)})


WITH_MORE = {
    charts.before_after: lambda frame: charts.before_after(frame, pd.Timestamp("2026-11-23T12:04Z")),
    charts.drilldown: lambda frame: charts.drilldown(frame, schema.sample("LOGS")),
}


def refusal(function, frame):
    try:
        function(frame)
    except CreateOSError as refused:
        return refused
    return None


AWKWARD = [
    pytest.param(kind, frame, id=f"{kind}: {what}")
    for kind in (
        "REQUESTS_OVER_TIME",
        "LOGS",
        "TOP_HIT_PATHS",
        "TOP_ERROR_PATHS",
        "REQUEST_DISTRIBUTION",
        "DEPLOYMENTS",
    )
    # A third of them; tests/metrics has the rest for each function.
    for what, frame in islice(as_it_comes(schema.sample(kind)), 0, None, 3)
]


@pytest.mark.parametrize(("kind", "frame"), AWKWARD)
def test_any_frame_gives_a_result_or_one_line_that_names_a_column(kind, frame):
    alone = [name for name in METHODS if name not in {*OF_OTHERS, "compare"}]  # the others: tests/metrics
    functions = [METHODS[name] for name in alone] if kind == "REQUESTS_OVER_TIME" else [charts.chart]
    functions = [WITH_MORE.get(function, function) for function in functions]
    for function in functions:
        refused = refusal(function, frame)
        if refused is not None:
            assert isinstance(refused, FrameError)
            assert "\n" not in str(refused)
            named = [name for name in schema.KINDS[kind].names if f"'{name}'" in str(refused)]
            assert named or "no chart for these columns" in str(refused)


def test_importing_it_puts_it_on_frames():
    assert pd.DataFrame.createos is createos_nb.accessor.CreateOSAccessor
