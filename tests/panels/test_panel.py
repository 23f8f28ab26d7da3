"""What all panels share, with a plan that needs no platform."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from IPython.core.formatters import DisplayFormatter
from ipywidgets import Text, Widget
from traitlets import Unicode, link

from createos_nb.api.client import Client
from createos_nb.errors import InvalidArgument
from createos_nb.panels import Panel, PanelModel
from createos_nb.panels.model import in_thread
from createos_nb.plans import Call, Plan
from createos_nb.workspace import Workspace

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
HOSTILE = "<img src=x onerror=alert(1)></div><script>alert(2)</script>\u202etxt"


@dataclass
class World:
    """What the plans of these tests change."""

    value: str = "old"
    changes: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, repr=False)
class Paint(Plan):
    """Changes the world's value."""

    kind: ClassVar[str] = "paint"
    world: World = field(compare=False)
    value: str

    def observe(self):
        return {"value": self.world.value}

    def carry_out(self, run):
        run.step(self.calls[0], lambda: self.world.changes.append(self.value))
        self.world.value = self.value
        run.end("done", f"It is {self.value}.")


class PaintModel(PanelModel):
    """Chooses a value."""

    value = Unicode("new").tag(choice=True)
    plan_requests, reload_requests = 3, 2

    def __init__(self, ws, world, *, executor):
        self.world = world
        super().__init__(ws, executor=executor)

    @property
    def title(self):
        return "Paint the world"

    def _read(self):
        if self.world.value == "gone":
            raise InvalidArgument("The world is gone. Find another.")

    def _plan(self):
        if self.value == "broken":
            return 1 / 0
        if not self.value:
            raise InvalidArgument(f"No colour in {HOSTILE}. Type one.")
        return Paint(
            client=self.ws.api,
            project="shop",
            project_id="p1",
            world=self.world,
            value=self.value,
            before={"value": self.world.value},
            after={"value": self.value},
            calls=(Call("PaintWorld", {"value": self.value}, f"paint it {self.value}"),),
            requests=1,
            risk="None.",
        )

    def _python(self):
        return f"paint({self.value!r}).apply()"


@pytest.fixture
def world():
    return World()


@pytest.fixture
def offline():
    """A workspace that is never asked anything."""
    with Client("http://127.0.0.1:9", api_key="skp_0123456789abcdef") as client:
        yield Workspace(client)


@pytest.fixture
def make(offline, world):
    def panel(executor=lambda work: work()):
        model = PaintModel(offline, world, executor=executor)
        control = Text(description="Colour")
        link((model, "value"), (control, "value"))
        panel = Panel(model, [control])
        panel.colour = control
        return panel

    return panel


def bundle(panel):
    data, _metadata = DisplayFormatter().format(panel)
    return data


def test_a_plan_is_shown_first_and_nothing_changes(make, world):
    panel = make()
    assert panel.apply_button.disabled
    assert panel.discard_button.disabled
    panel.plan_button.click()
    assert panel.model.plan.hash in panel.outcome.value
    assert "Nothing has been changed" in panel.outcome.value
    assert not panel.apply_button.disabled
    assert world.changes == []


def test_the_second_click_makes_the_change_and_says_how_it_ended(make, world):
    panel = make()
    panel.plan_button.click()
    panel.apply_button.click()
    assert world.changes == ["new"]
    assert panel.model.result.state == "done"
    assert "It is new." in panel.outcome.value
    assert panel.apply_button.disabled


def test_apply_without_a_plan_does_nothing(make, world):
    panel = make()
    panel.apply_button.click()
    assert world.changes == []
    assert panel.model.error == ""


def test_discard_forgets_the_plan(make, world):
    panel = make()
    panel.plan_button.click()
    panel.discard_button.click()
    assert panel.outcome.value == ""
    panel.apply_button.click()
    assert world.changes == []


def test_choosing_something_else_forgets_the_plan_that_was_shown(make, world):
    panel = make()
    panel.plan_button.click()
    panel.colour.value = "blue"
    assert panel.apply_button.disabled
    panel.apply_button.click()
    assert world.changes == []
    assert "paint(&#39;blue&#39;).apply()" in panel.line.value


def test_each_of_many_double_clicks_makes_one_change(make, world):
    panel = make()
    for number in range(50):
        panel.colour.value = f"colour {number}"
        panel.plan_button.click()
        panel.apply_button.click()
        panel.apply_button.click()
        assert panel.model.result.state == "done"
    assert world.changes == [f"colour {number}" for number in range(50)]


def test_a_click_while_work_is_under_way_is_not_a_second_change(make, world):
    waiting = deque()
    panel = make(executor=waiting.append)
    panel.plan_button.click()
    waiting.popleft()()
    panel.apply_button.click()
    assert panel.apply_button.disabled
    assert panel.plan_button.disabled
    assert panel.colour.disabled
    # The messages of further clicks may be on their way already, from this button and the others.
    for button in (panel.apply_button, panel.plan_button, panel.reload_button, panel.discard_button):
        button.click()
    assert len(waiting) == 1
    waiting.popleft()()
    assert world.changes == ["new"]
    assert not panel.plan_button.disabled


def test_clicks_from_the_front_end_at_the_same_moment_make_one_change(make, world):
    panel = make(executor=in_thread)
    idle = threading.Event()
    panel.model.observe(lambda change: idle.set() if not change.new else idle.clear(), "busy")
    panel.plan_button.click()
    assert idle.wait(10)
    idle.clear()
    for _ in range(20):
        panel.apply_button._handle_custom_msg({"event": "click"}, [])
    assert idle.wait(10)
    assert world.changes == ["new"]


def test_work_is_done_in_a_thread_so_that_the_kernel_stays_free():
    worked_in = []
    done = threading.Event()
    in_thread(lambda: (worked_in.append(threading.current_thread()), done.set()))
    assert done.wait(10)
    assert worked_in[0] is not threading.current_thread()


def test_progress_is_shown_while_work_is_under_way(make):
    panel = make()
    shown = []
    panel.outcome.observe(lambda change: shown.append(change.new), "value")
    panel.plan_button.click()
    panel.apply_button.click()
    assert any("Reading what is there" in html for html in shown)
    assert any("paint it new …" in html for html in shown)
    assert "paint it new …" not in panel.outcome.value


def test_an_exception_in_a_callback_is_shown_in_the_panel(make, world):
    panel = make()
    panel.colour.value = "broken"
    panel.plan_button.click()
    assert 'role="alert"' in panel.outcome.value
    assert "ZeroDivisionError: division by zero" in panel.outcome.value
    panel.colour.value = "new"
    panel.plan_button.click()
    panel.apply_button.click()
    assert world.changes == ["new"]


def test_an_error_says_what_to_do_and_cannot_do_anything_itself(make):
    panel = make()
    panel.colour.value = ""
    panel.plan_button.click()
    for html in (panel.outcome.value, panel._repr_html_()):
        assert "Type one." in html
        assert "<img" not in html
        assert "<script" not in html
        assert "\\u202e" in html


def test_what_was_typed_cannot_do_anything_either(make):
    panel = make()
    panel.colour.value = HOSTILE
    panel.plan_button.click()
    panel.apply_button.click()
    for html in (panel.outcome.value, panel.line.value, panel._repr_html_()):
        assert "<img" not in html
        assert "<script" not in html


def test_a_stale_plan_is_refused_and_said_so(make, world):
    one, other = make(), make()
    one.plan_button.click()
    other.colour.value = "blue"
    other.plan_button.click()
    other.apply_button.click()
    one.apply_button.click()
    assert world.changes == ["blue"]
    assert "The world moved since this plan was made: value was old, is blue." in one.outcome.value
    assert one.apply_button.disabled


def test_an_error_stays_after_the_second_half_of_a_double_click(make, world):
    panel = make()
    panel.plan_button.click()
    world.value = "moved"
    panel.apply_button.click()
    panel.apply_button.click()
    assert "The world moved" in panel.outcome.value


def test_a_change_that_was_made_is_shown_even_if_what_follows_cannot_be_read(make, world):
    panel = make()
    panel.colour.value = "gone"
    panel.plan_button.click()
    panel.apply_button.click()
    assert world.changes == ["gone"]
    assert "It is gone." in panel.outcome.value
    assert "The world is gone. Find another." in panel.outcome.value


def test_opening_a_panel_on_nothing_raises_in_the_cell(make, world):
    world.value = "gone"
    with pytest.raises(InvalidArgument, match="Find another"):
        make()


def test_a_panel_leaves_a_record_that_reads_without_a_kernel(make):
    panel = make()
    panel.plan_button.click()
    data = bundle(panel)
    assert WIDGET_VIEW in data
    assert data["text/plain"] == "<Panel: Paint the world>"
    for part in (
        "Paint the world",
        "http://127.0.0.1:9",
        "Plan about 3, Reload about 2",
        panel.model.plan.hash,
        "As of",
    ):
        assert part in data["text/html"]
    assert "skp_0123456789abcdef" not in str(data)


def test_a_model_makes_no_widget(offline, world):
    made = []
    Widget.on_widget_constructed(made.append)
    try:
        model = PaintModel(offline, world, executor=lambda work: work())
        model.show_plan()
        model.apply()
    finally:
        Widget.on_widget_constructed(None)
    assert world.changes == ["new"]
    assert made == []


def test_every_control_has_a_label(make):
    panel = make()
    assert panel.colour.description
    for button in (panel.plan_button, panel.apply_button, panel.discard_button, panel.reload_button):
        assert button.description
        assert button.tooltip
