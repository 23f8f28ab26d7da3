"""What every plan has in common: showing, confirming, untrusted text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

import pytest

from createos_nb.api.client import Client
from createos_nb.api.secret import Secret
from createos_nb.errors import (
    Conflict,
    CreateOSError,
    OutcomeUnknown,
    PlanStale,
    ServerError,
    UnexpectedResponse,
)
from createos_nb.plans import Call, Plan, Result
from createos_nb.plans.journal import Journal

CLIENT = Client("http://127.0.0.1:1", api_key="k")


@dataclass(frozen=True, kw_only=True, repr=False)
class Paint(Plan):
    """A change of a colour that only this file knows; `calls` holds what each step does."""

    kind: ClassVar[str] = "paint"
    world: dict
    acts: tuple = ()

    def observe(self):
        return dict(self.world)

    def carry_out(self, run):
        for call, act in zip(self.calls, self.acts, strict=True):
            run.step(call, act)
        run.end("done", "It is painted.")


def paint(*acts, world=None, **changes):
    world = {"colour": "red"} if world is None else world
    facts = {
        "client": CLIENT,
        "project": "shop",
        "project_id": "p",
        "environment": "production",
        "environment_id": "e",
        "before": dict(world),
        "after": {"colour": "blue"},
        "calls": tuple(Call("Paint", {"n": number}, f"stroke {number}") for number in range(len(acts))),
        "requests": 3,
        "risk": "It may drip.",
    }
    return Paint(**{**facts, **changes}, world=world, acts=acts)


def fail(error):
    def act():
        raise error

    return act


def test_a_plan_that_works_ends_done_with_its_steps():
    result = paint(lambda: "wet", lambda: "dry").apply()
    assert (result.state, result.detail) == ("done", "It is painted.")
    assert [(step.outcome, step.detail) for step in result.steps] == [("ok", "wet"), ("ok", "dry")]
    assert all(step.started_at <= step.ended_at for step in result.steps)


@pytest.mark.parametrize(
    ("acts", "state", "outcomes"),
    [
        ((fail(Conflict("no")), str), "undone", ["failed"]),
        ((str, fail(Conflict("no"))), "unclear", ["ok", "failed"]),
        ((fail(OutcomeUnknown("cut")), str), "unclear", ["unknown"]),
    ],
    ids=["nothing was changed", "something was", "nobody knows"],
)
def test_a_failure_ends_in_the_state_that_is_true(acts, state, outcomes):
    result = paint(*acts).apply()
    assert (result.state, [step.outcome for step in result.steps]) == (state, outcomes)
    assert ("Nothing was changed" in result.detail) == (state == "undone")


def test_a_bug_is_raised_after_the_record_of_it():
    with pytest.raises(ZeroDivisionError):
        paint(fail(ZeroDivisionError())).apply()
    assert Journal().records()[-1]["state"] == "unclear"


def test_a_world_that_moved_is_refused_with_both_states():
    world = {"colour": "red", "wall": 1}
    plan = paint(lambda: pytest.fail("it acted"), world=world)
    world["colour"] = "green"
    with pytest.raises(PlanStale, match="colour was red, is green") as raised:
        plan.apply()
    assert (raised.value.before["colour"], raised.value.now["colour"]) == ("red", "green")


def test_nothing_is_changed_without_a_journal(home):
    (home / "journal.jsonl").mkdir()
    with pytest.raises(CreateOSError, match="the journal"):
        paint(lambda: pytest.fail("it acted")).apply()


def test_the_intent_is_on_disk_before_the_call_is_made():
    seen = []
    paint(lambda: seen.extend(record["event"] for record in Journal().records())).apply()
    assert seen == ["begin", "intent"]


@pytest.mark.parametrize(
    "changes",
    [
        {"project_id": "q"},
        {"environment_id": "f"},
        {"before": {"colour": "pink"}},
        {"calls": (Call("Paint", {"n": 2}, "stroke 0"),)},
        {"calls": (Call("Wash", {"n": 0}, "stroke 0"),)},
        {"client": Client("http://127.0.0.1:2", api_key="k")},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_the_hash_changes_with_everything_that_it_confirms(changes):
    assert paint(str, **changes).hash != paint(str).hash == paint(str).hash


def test_the_hash_does_not_depend_on_prose():
    assert paint(str, risk="other", notes=("other",), requests=9).hash == paint(str).hash


def test_a_plan_says_everything_in_text_and_html():
    plan = paint(str, notes=("Mind the step.",))
    for shown in (repr(plan), plan._repr_html_()):
        for part in (plan.hash, "shop/production", "http://127.0.0.1:1", "red", "blue", "stroke 0", "drip", "Mind"):
            assert part in shown


HOSTILE = "</td><script>alert(1)</script>\x1b[31m\u202e"


def test_hostile_text_in_a_plan_and_its_result_is_only_text():
    plan = paint(
        lambda: HOSTILE,
        project=HOSTILE,
        before={HOSTILE: HOSTILE},
        after={HOSTILE: HOSTILE},
        calls=(Call("Paint", {HOSTILE: HOSTILE}, HOSTILE),),
        risk=HOSTILE,
        notes=(HOSTILE,),
        world={HOSTILE: HOSTILE},
    )
    result = plan.apply()
    for page in (plan._repr_html_(), result._repr_html_()):
        assert "<script" not in page
    for shown in (plan._repr_html_(), result._repr_html_(), repr(plan), repr(result)):
        assert "\x1b" not in shown
        assert "\u202e" not in shown


def test_no_secret_in_a_plan_reaches_the_journal_or_a_view(home):
    secret = Secret("s3cret-value-0123456789")
    plan = paint(str, before={"token": secret}, after={"token": secret}, world={"token": secret})
    result = plan.apply()
    shown = f"{plan!r}{plan._repr_html_()}{result!r}{result._repr_html_()}{json.dumps(result.to_json())}"
    files = "".join(path.read_text() for path in home.rglob("*") if path.is_file())
    assert "s3cret" not in shown + files


def test_a_dry_run_says_how_to_apply_it():
    plan = paint(str)
    result = Result.dry(plan)
    assert (result.state, result.steps, result.run) == ("dry_run", (), "")
    assert f"confirm={plan.hash!r}" in result.detail
    assert Journal().records() == []


@pytest.mark.parametrize("error", [ServerError("HTTP 504"), UnexpectedResponse("not JSON"), OutcomeUnknown("cut")])
def test_an_answer_that_may_hide_a_success_ends_unclear(error):
    result = paint(fail(error)).apply()
    assert (result.state, result.steps[0].outcome) == ("unclear", "unknown")
    assert "Nothing was changed" not in result.detail


def test_a_journal_that_fails_after_a_call_hides_neither_the_call_nor_itself(home):
    journal = home / "journal.jsonl"

    def act():
        journal.rename(home / "moved")
        journal.mkdir()

    result = paint(act).apply()
    assert result.state == "done"
    assert "It is painted. Cannot write the journal" in result.detail


def test_a_run_that_was_cut_off_is_ended_as_unclear_by_the_next():
    with pytest.raises(KeyboardInterrupt):
        paint(fail(KeyboardInterrupt())).apply()
    journal = Journal()
    cut_off = journal.records()[0] | {"run": "cut-off"}
    journal.write(
        {name: value for name, value in cut_off.items() if name not in {"hash", "previous", "at", "user"}}
    )
    paint(str).apply()
    ends = {record["run"]: record["state"] for record in journal.records() if record["event"] == "end"}
    assert ends["cut-off"] == "unclear"
    assert len(ends) == 3
    assert journal.tampered() is None
