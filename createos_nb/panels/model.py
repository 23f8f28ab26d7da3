"""Model: what all panels know and do, without a widget; and its picture in HTML."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar

from markupsafe import Markup
from traitlets import Bool, HasTraits, Instance, Unicode
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
_SMALL = f"font:12px/1.5 {_SANS};color:var(--jp-ui-font-color2,#555)"
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
            asked_for = self.line
            try:
                self.plan = self._plan()
            finally:
                self.progress = ()
            if self.line != asked_for:
                self._forget()
                self.error = "The choice was changed while the plan was made. Plan again."

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
        said = f"As of {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC, without its buttons: run the cell to use it."
        choices = table(["chosen", ""], chosen)
        shown = (
            heading(self),
            choices,
            self.state_html(),
            cost(self),
            self.outcome_html(),
            python(self),
            note(said),
        )
        return "".join(shown)


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
    title = Markup('<div role="heading" aria-level="3" style="{}">{}</div>').format(_TITLE, escape(model.title))
    return title + note(f"on {model.ws.api.settings.api_url}")


def cost(model: PanelModel) -> Markup:
    """Return what a panel's buttons cost in requests, as HTML."""
    return note(
        f"Plan changes nothing. Requests: Plan about {model.plan_requests}, Reload about {model.reload_requests}."
    )


def python(model: PanelModel) -> str:
    """Return the Python that does the same, as HTML."""
    return note("The same in Python") + Markup('<div style="{}">{}</div>').format(_LINE, escape(model.line))


def note(text: object) -> Markup:
    """Return a small line beside what matters, as HTML."""
    return Markup('<div style="{}">{}</div>').format(_SMALL, escape(text))
