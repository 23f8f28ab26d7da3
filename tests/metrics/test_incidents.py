from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from createos_nb import metrics, schema
from createos_nb.errors import InvalidArgument
from tests.metrics.traffic import minute, traffic


def found(errors, requests=None, **options):
    requests = [100 if k is not None else None for k in errors] if requests is None else requests
    frame = traffic(requests, [k or 0 for k in errors], partial=options.pop("partial", ()))
    return metrics.incidents(frame, **{"quiet": "3m", **options})


def spans(told):
    return list(zip(told["start"], told["end"], strict=True))


def test_an_incident_is_from_the_first_bad_interval_to_the_last():
    told = found([0, 0, 20, 40, 0, 30, 0, 0, 0, 0])
    assert spans(told) == [(minute(2), minute(6))]
    [row] = told.to_dict("records")
    assert (row["requests"], row["server_errors"]) == (400, 90)
    assert (row["error_rate"], row["peak_error_rate"], row["peak_at"]) == (0.225, 0.4, minute(3))
    assert (row["start_seen"], row["end_seen"], row["ongoing"], row["missing_s"]) == (True, True, False, 0)


def test_a_pause_as_long_as_quiet_makes_two_of_it():
    assert len(found([9, 0, 0, 9, 0, 0, 0])) == 1
    assert len(found([9, 0, 0, 0, 9, 0, 0, 0])) == 2


def test_it_goes_on_until_it_has_been_good_for_long_enough():
    assert found([0, 9, 0, 0])["ongoing"].tolist() == [True]
    assert found([0, 9, 0, 0, 0])["ongoing"].tolist() == [False]
    assert found([0, 9])["ongoing"].tolist() == [True]


def test_silence_is_no_recovery():
    told = found([0, 9, 0, 0, 0, 0], requests=[100, 100, 0, 0, 0, 0])
    assert (told["ongoing"].tolist(), told["end_seen"].tolist()) == ([True], [False])
    assert "may have lasted longer" in told["reason"].iloc[0]


def test_an_interval_that_is_not_over_is_no_recovery():
    assert found([0, 9, 0, 0, 0], partial={4})["ongoing"].tolist() == [True]


def test_rows_that_are_missing_are_neither_good_nor_bad():
    [row] = found([None, 9, None, 9, None, None, 0, 0]).to_dict("records")
    assert (row["start"], row["end"], row["missing_s"]) == (minute(1), minute(4), 60)
    assert (row["start_seen"], row["end_seen"]) == (False, False)
    assert row["requests"] == 200


def test_the_threshold_counts_from_its_value_on():
    assert len(found([5, 5, 5])) == 1
    assert len(found([4, 4, 4])) == 0
    assert len(found([4, 4, 4], threshold=0.04)) == 1


def test_few_errors_are_no_incident():
    assert len(found([4, 0], requests=[4, 100])) == 0
    assert len(found([4, 0], requests=[4, 100], min_errors=4)) == 1


def by_hand(counts, quiet, threshold, min_errors):
    """The rule once more, minute by minute."""
    runs = []
    for at, (n, k) in enumerate(counts):
        if n and k / n >= threshold:
            if runs and at - runs[-1][1] < quiet:
                runs[-1][1] = at + 1
            else:
                runs.append([at, at + 1])
    return [(minute(a), minute(b)) for a, b in runs if sum(k for _, k in counts[a:b]) >= min_errors]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.integers(0, 20).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), min_size=1, max_size=40
    ),
    st.integers(1, 6),
    st.integers(1, 10),
)
def test_it_is_the_rule_that_is_stated(counts, quiet, min_errors):
    requests, errors = zip(*counts, strict=True)
    told = metrics.incidents(traffic(requests, errors), threshold=0.3, quiet=f"{quiet}m", min_errors=min_errors)
    assert spans(told) == by_hand(counts, quiet, 0.3, min_errors)
    assert (told["server_errors"] >= min_errors).all()


def test_environments_are_apart_and_rows_may_come_in_any_order():
    one, other = traffic([100] * 5, [0, 50, 0, 0, 0]), traffic([100] * 5, [0] * 5, environment="staging")
    mixed = schema.REQUESTS_OVER_TIME.concat([other, one]).sample(frac=1, random_state=3)
    told = metrics.incidents(mixed, quiet="3m")
    assert (told["environment"].tolist(), spans(told)) == (["production"], [(minute(1), minute(2))])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"threshold": 5}, "threshold"),
        ({"threshold": 0}, "threshold"),
        ({"min_errors": 0}, "min_errors"),
        ({"min_errors": 1.5}, "min_errors"),
        ({"quiet": "soon"}, "length of time"),
    ],
    ids=str,
)
def test_options_that_cannot_be_are_refused(options, named):
    with pytest.raises(InvalidArgument, match=named):
        metrics.incidents(schema.REQUESTS_OVER_TIME.empty(), **options)
