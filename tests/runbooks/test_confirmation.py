from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from createos_nb import runbooks
from createos_nb.api.client import Client
from createos_nb.errors import InvalidArgument
from createos_nb.plans import Call, Plan
from createos_nb.plans.run import Run


@dataclass(frozen=True, kw_only=True, repr=False)
class Paint(Plan):
    """A plan whose one call only makes a mark here."""

    kind: ClassVar[str] = "paint"
    marks: list[str] = field(default_factory=list, compare=False)

    def observe(self) -> dict[str, object]:
        return dict(self.before)

    def carry_out(self, run: Run) -> None:
        run.step(self.calls[0], lambda: self.marks.append("painted"))
        run.end("done", "It is painted.")


@pytest.fixture
def plan():
    with Client("http://127.0.0.1:9", api_key="skp_0123456789") as client:
        yield Paint(
            client=client,
            project="shop",
            project_id="p",
            environment="production",
            environment_id="e",
            before={"colour": "red"},
            after={"colour": "blue"},
            calls=(Call("Paint", {"colour": "blue"}, "paint it"),),
            requests=1,
            risk="none",
        )


def test_a_dry_run_changes_nothing_whatever_is_confirmed(plan):
    result = runbooks.apply(plan, dry_run=True, confirm=plan.hash)
    assert result.state == "dry_run"
    assert plan.marks == []


@pytest.mark.parametrize("confirm", ["", "yes", "shop", "shop/staging", "SHOP/production", "0" * 12])
def test_without_the_right_confirmation_nothing_is_changed(plan, confirm):
    with pytest.raises(InvalidArgument, match="so nothing was changed") as caught:
        runbooks.apply(plan, dry_run=False, confirm=confirm)
    assert plan.marks == []
    assert plan.hash in str(caught.value)
    assert "shop/production" in str(caught.value)


@pytest.mark.parametrize("confirm", ["hash", "name"])
def test_the_plans_hash_or_its_target_confirms_it(plan, confirm, capsys):
    result = runbooks.apply(
        plan, dry_run=False, confirm=plan.hash if confirm == "hash" else "shop/production", reason="it was red"
    )
    assert result.state == "done"
    assert plan.marks == ["painted"]
    assert "paint it" in capsys.readouterr().out, "whoever watches the cell sees each step"


def test_a_hash_confirms_only_the_plan_it_was_shown_for(plan):
    from dataclasses import replace

    moved = replace(plan, before={"colour": "green"})
    with pytest.raises(InvalidArgument):
        runbooks.apply(moved, dry_run=False, confirm=plan.hash)
