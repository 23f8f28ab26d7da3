"""Panel: what all panels show, the view of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets as widgets
from traitlets import link

from createos_nb.markup import one_line
from createos_nb.panels.model import PanelModel, Work, cost, heading, python


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
    model
        Whose traits they are.
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
