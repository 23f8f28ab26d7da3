"""Panel: what all panels share, the model that decides and the view that shows it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar

import ipywidgets as widgets
from markupsafe import Markup
from traitlets import Bool, HasTraits, Instance, Unicode, link
from traitlets import Tuple as TupleOf

from createos_nb.errors import CreateOSError, InvalidArgument
from createos_nb.markup import escape, one_line, table
from createos_nb.plans import Plan, Result
from createos_nb.selection import Selection, Target
from createos_nb.workspace import Workspace

Work = Callable[[], None]
Executor = Callable[[Work], object]

# JupyterLab's own colours where there are any, so that a panel fits a dark theme and a page without either.
_SANS = "system-ui,sans-serif"
_TITLE = f"font:600 15px/1.5 {_SANS}"
SMALL = f"font:12px/1.5 {_SANS};color:var(--jp-ui-font-color2,#555)"
_LINE = (
    "font:12px/1.6 ui-monospace,Menlo,Consolas,monospace;overflow-wrap:anywhere;white-space:pre-wrap;"
    "padding:2px 6px;background:var(--jp-layout-color2,#f2f2f2);color:var(--jp-ui-font-color1,#222)"
)
_ERROR = (
    f"font:13px/1.5 {_SANS};padding:8px 12px;margin:4px 0;border-left:4px solid #c62828;"
    "background:rgba(198,40,40,.08);color:var(--jp-ui-font-color1,#222);overflow-wrap:anywhere"
)
_PROGRESS = f"font:13px/1.6 {_SANS};white-space:pre-wrap;overflow-wrap:anywhere;margin:4px 0"


def in_thread(work: Work) -> None:
    """Do some work in a thread of its own, so that the kernel stays free."""
    # A kernel that ends must not wait for a build; the journal says what was under way.
    threading.Thread(target=work, name="createos-panel", daemon=True).start()


class PanelModel(HasTraits):
    """What a panel knows and does. It displays nothing.

    Traits tagged ``choice`` are what a person chooses; changing one forgets the plan that was shown, so that
    what is applied is always what is on the screen.

    Parameters
    ----------
    ws
        The platform to work on.
    executor
        Carries work out; default a thread.

    Attributes
    ----------
    busy
        Work is under way.
    error
        Why the last work failed, for people; empty when it did not.
    progress
        What was said about the work so far, one line each.
    plan
        What is shown and waits for `apply`.
    result
        How the last `apply` ended.
    line
        The Python that does the same.
    """

    busy = Bool()
    error = Unicode()
    progress = TupleOf()
    plan = Instance("createos_nb.plans.Plan", allow_none=True)
    result = Instance(Result, allow_none=True)
    line = Unicode()

    plan_requests: ClassVar[int]
    reload_requests: ClassVar[int]
    """Requests that `show_plan` and `reload` cost, about; a plan says what `apply` costs."""

    def __init__(self, ws: Workspace, *, executor: Executor = in_thread) -> None:
        super().__init__()
        self.ws = ws
        self._executor = executor
        self._turn = threading.Lock()
        # In the cell that makes the panel, an error is best raised: that is where people look for it.
        self._read()
        self.line = self._python()
        self.observe(self._chosen, list(self.trait_names(choice=True)))

    @property
    def title(self) -> str:
        """What the panel does and where, in a few words."""
        raise NotImplementedError

    def _read(self) -> None:
        """Read what there is to choose from."""
        raise NotImplementedError

    def _plan(self) -> Plan:
        """Make the plan of what is chosen."""
        raise NotImplementedError

    def _python(self) -> str:
        """Return the Python that does what is chosen."""
        raise NotImplementedError

    @property
    def can_apply(self) -> bool:
        """Whether there is a plan to apply, and nothing under way."""
        return self.plan is not None and not self.busy

    def show_plan(self) -> None:
        """Read what is there and show what would happen. Changes nothing."""

        def work() -> None:
            self._forget()
            self.progress = ("Reading what is there …",)
            try:
                self.plan = self._plan()
            finally:
                self.progress = ()

        self._run(work)

    def apply(self) -> None:
        """Make the change that is shown, once; does nothing when none is."""

        def work() -> None:
            plan = self.plan
            if plan is None:  # the second half of a double click
                return
            self.error, self.progress = "", (f"Applying: {plan.title} …",)
            try:
                self.result = plan.apply(reason="by panel", progress=self._say)
            finally:
                self.plan, self.progress = None, ()
            self._read()

        self._run(work)

    def discard(self) -> None:
        """Forget the plan that is shown."""
        if not self.busy:
            self._forget()

    def reload(self) -> None:
        """Read again what there is to choose from."""

        def work() -> None:
            self._forget()
            self._read()

        self._run(work)

    def _run(self, work: Work) -> None:
        # Only one at a time: whoever clicks in the meantime has clicked twice.
        if self._turn.acquire(blocking=False):
            self.busy = True
            self._executor(partial(self._finish, work))

    def _finish(self, work: Work) -> None:
        try:
            work()
        except CreateOSError as error:
            self.error = str(error)
        except Exception as error:  # noqa: BLE001 - a notebook shows no exception of a click, so the panel must
            self.error = (
                f"{type(error).__name__}: {one_line(error, limit=500)}. This is a defect of the panel; "
                "the line of Python below does the same."
            )
        finally:
            self.busy = False
            self._turn.release()

    def _forget(self) -> None:
        self.error, self.progress, self.plan, self.result = "", (), None, None

    def _say(self, line: str) -> None:
        self.progress = (*self.progress, line)

    def _chosen(self, _change: object) -> None:
        self.line = self._python()
        self.discard()

    def outcome_html(self) -> str:
        """Return what was said last: the error, and the progress, the result or the plan."""
        parts = []
        if self.error:
            parts.append(Markup('<div role="alert" style="{}">{}</div>').format(_ERROR, escape(self.error)))
        shown = self.result or self.plan
        if self.progress:
            lines = escape("\n".join(self.progress))
            parts.append(Markup('<div role="status" style="{}">{}</div>').format(_PROGRESS, lines))
        elif shown is not None:
            parts.append(Markup('<div role="status">{}</div>').format(Markup(shown._repr_html_())))
        return str(Markup("").join(parts))

    def state_html(self) -> str:
        """Return what the panel shows beside its controls; nothing by default."""
        return ""

    def _repr_html_(self) -> str:
        chosen = [
            (name.replace("_", " "), getattr(self, name) or "") for name in sorted(self.trait_names(choice=True))
        ]
        said = Markup('<div style="{}">As of {}, without its buttons: run the cell to use the panel.</div>').format(
            SMALL, f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
        )
        pieces = (
            heading(self),
            table(["chosen", ""], chosen),
            self.state_html(),
            self.outcome_html(),
            python(self),
        )
        return "".join(map(str, (*pieces, said)))


def one_target(selection: Selection) -> Target:
    """Return the environment of a selection of one.

    Raises
    ------
    InvalidArgument
        It selects more than one.
    """
    targets = selection.targets()
    if len(targets) != 1:
        raise InvalidArgument(
            f"A panel changes one environment, and this selection has {len(targets)}. Choose one, such as "
            f"ws[{str(targets[0])!r}]."
        )
    return targets[0]


def heading(model: PanelModel) -> str:
    """Return a panel's title and the platform it works on, as HTML."""
    return str(
        Markup('<div role="heading" aria-level="3" style="{}">{}</div><div style="{}">on {}</div>').format(
            _TITLE, escape(model.title), SMALL, escape(model.ws.api.settings.api_url)
        )
    )


def cost(model: PanelModel) -> str:
    """Return what a panel's buttons cost, as HTML."""
    return str(
        Markup('<span style="{}">Plan changes nothing; it costs about {} requests, Reload {}.</span>').format(
            SMALL, model.plan_requests, model.reload_requests
        )
    )


def python(model: PanelModel) -> str:
    """Return the Python that does the same, as HTML."""
    return str(
        Markup('<div style="{}">The same in Python</div><div style="{}">{}</div>').format(
            SMALL, _LINE, escape(model.line)
        )
    )


class Panel(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """The view of a panel: its controls, the buttons, and what was said last.

    Parameters
    ----------
    model
        What it shows; the view decides nothing.
    controls
        The widgets to choose with, from top to bottom.

    Attributes
    ----------
    plan_button, apply_button, discard_button, reload_button
        What a person clicks; ``.click()`` works from Python.
    state, outcome, line
        What is shown of the model, as HTML widgets.
    """

    def __init__(self, model: PanelModel, controls: Sequence[widgets.Widget]) -> None:
        self.model = model
        self.plan_button = _button("Plan", "Show what would happen; changes nothing", model.show_plan)
        self.apply_button = _button("Apply", "Make the change that is shown", model.apply, style="primary")
        self.discard_button = _button("Discard", "Forget the plan that is shown", model.discard)
        self.reload_button = _button("Reload", "Read again what there is to choose from", model.reload)
        self.state, self.outcome, self.line = _html(), _html(), _html()
        self._controls = [control for row in controls for control in (row, *getattr(row, "children", ()))]
        buttons = (self.plan_button, self.apply_button, self.discard_button, self.reload_button)
        # Flex boxes take their gap from the property that once was the grid's alone.
        row = widgets.Layout(flex_flow="row wrap", align_items="center", grid_gap="4px", margin="6px 0")
        super().__init__(
            [
                _html(heading(model)),
                *controls,
                self.state,
                widgets.HBox([*buttons, _html(cost(model))], layout=row),
                self.outcome,
                self.line,
            ],
            layout=widgets.Layout(
                border="1px solid var(--jp-border-color2, #ccc)", padding="12px 16px", max_width="900px"
            ),
        )
        model.observe(self._show)
        self._show()

    def _show(self, _change: object = None) -> None:
        model = self.model
        self.state.value, self.outcome.value, self.line.value = (
            model.state_html(),
            model.outcome_html(),
            python(model),
        )
        self.apply_button.disabled = self.discard_button.disabled = not model.can_apply
        for widget in (self.plan_button, self.reload_button, *self._controls):
            if widget.has_trait("disabled"):
                widget.disabled = model.busy

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {one_line(self.model.title)}>"

    def _repr_html_(self) -> str:
        return self.model._repr_html_()


def _button(description: str, tooltip: str, action: Work, *, style: str = "") -> Any:
    layout = widgets.Layout(width="96px")
    button = widgets.Button(description=description, tooltip=tooltip, button_style=style, layout=layout)
    button.on_click(lambda _button: action())
    return button


def _html(value: str = "") -> Any:
    return widgets.HTML(value)


LABEL: dict[str, str] = {"description_width": "72px"}
"""Style of a control, so that the labels of all of them end on one line."""


def wide() -> widgets.Layout:
    """Return the layout of a control that holds text."""
    return widgets.Layout(width="480px", max_width="100%")


def chooser(model: PanelModel, description: str, *, options: str, value: str) -> widgets.Dropdown:
    """Return a menu of one of a model's traits to choose another.

    Parameters
    ----------
    description
        Its label.
    options, value
        Names of the traits that hold what there is, and what is chosen.
    """
    menu = widgets.Dropdown(description=description, style=LABEL, layout=wide())

    def fill(_change: object = None) -> None:
        # ipywidgets chooses the first option whenever there are new ones; what was chosen is to stay.
        chosen, names = getattr(model, value), getattr(model, options)
        menu.options = [(one_line(name), name) for name in names]
        menu.value = chosen if chosen in names else next(iter(names), None)

    fill()
    model.observe(fill, options)
    link((model, value), (menu, "value"))
    return menu
