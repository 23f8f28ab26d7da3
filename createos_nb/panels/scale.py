"""Scale: change what an environment may use, from a panel."""

from __future__ import annotations

import ipywidgets as widgets
from traitlets import Int, link

from createos_nb.api.environments import Resources
from createos_nb.panels.model import Executor, PanelModel, in_thread, note, one_target
from createos_nb.panels.panel import LABEL, Panel
from createos_nb.plans import Plan
from createos_nb.selection import Selection
from createos_nb.workspace import Workspace


def _bounds(name: str) -> tuple[int, int]:
    """Return the least and the most of a resource, as its model declares them."""
    declared = Resources.model_json_schema()["properties"][name]
    return declared["minimum"], declared["maximum"]


REPLICAS, CPU_MILLICORES, MEMORY_MB = _bounds("replicas"), _bounds("cpu"), _bounds("memory")


class ScaleModel(PanelModel):
    """Chooses an environment's resources, and puts them in force.

    Parameters
    ----------
    selection
        One environment.
    executor
        Carries work out; default a thread.

    Attributes
    ----------
    replicas, cpu_millicores, memory_mb
        What it is to have; at first, what it has.
    """

    replicas = Int(REPLICAS[0], min=REPLICAS[0], max=REPLICAS[1]).tag(choice=True)
    cpu_millicores = Int(CPU_MILLICORES[0], min=CPU_MILLICORES[0], max=CPU_MILLICORES[1]).tag(choice=True)
    memory_mb = Int(MEMORY_MB[0], min=MEMORY_MB[0], max=MEMORY_MB[1]).tag(choice=True)

    plan_requests, reload_requests = 1, 1

    def __init__(self, selection: Selection, *, executor: Executor = in_thread) -> None:
        self.selection = selection
        self.target = one_target(selection)
        super().__init__(Workspace(selection.api), executor=executor)

    @property
    def title(self) -> str:
        """What the panel does and where, in a few words."""
        return f"Scale {self.target}"

    def _read(self) -> None:
        # Without resources the plan is refused, with the reason; the controls then stay at their least.
        if resources := self.target.now(self.selection.api).resources:
            self.replicas, self.cpu_millicores, self.memory_mb = resources.replicas, resources.cpu, resources.memory

    def _plan(self) -> Plan:
        return self.selection.plan_scale(
            replicas=self.replicas, cpu_millicores=self.cpu_millicores, memory_mb=self.memory_mb
        )

    def _python(self) -> str:
        return (
            f"ws[{str(self.target)!r}].plan_scale(replicas={self.replicas}, cpu_millicores={self.cpu_millicores}, "
            f"memory_mb={self.memory_mb}).apply()"
        )


class ScalePanel(Panel):
    """The view of a `ScaleModel`.

    Attributes
    ----------
    replicas, cpu_millicores, memory_mb
        The controls.
    """

    model: ScaleModel

    def __init__(self, model: ScaleModel) -> None:
        self.replicas = _number(model, "Replicas", "replicas", REPLICAS)
        self.cpu_millicores = _number(model, "CPU", "cpu_millicores", CPU_MILLICORES, step=50)
        self.memory_mb = _number(model, "Memory", "memory_mb", MEMORY_MB, step=50)
        super().__init__(
            model,
            [
                _row(self.replicas, REPLICAS, ""),
                _row(self.cpu_millicores, CPU_MILLICORES, " millicores for each replica"),
                _row(self.memory_mb, MEMORY_MB, " MB for each replica"),
            ],
        )


def _number(
    model: ScaleModel, description: str, trait: str, bounds: tuple[int, int], *, step: int = 1
) -> widgets.BoundedIntText:
    least, most = bounds
    control = widgets.BoundedIntText(
        value=getattr(model, trait),
        min=least,
        max=most,
        step=step,
        description=description,
        style=LABEL,
        layout=widgets.Layout(width="180px"),
    )
    link((model, trait), (control, "value"))
    return control


def _row(control: widgets.BoundedIntText, bounds: tuple[int, int], unit: str) -> widgets.HBox:
    hint = f"{bounds[0]} to {bounds[1]}{unit}"
    return widgets.HBox(
        [control, widgets.HTML(note(hint))], layout=widgets.Layout(align_items="center", grid_gap="4px")
    )


def scale(selection: Selection) -> ScalePanel:
    """Return a panel that changes the replicas, cpu and memory of an environment.

    Parameters
    ----------
    selection
        One environment, such as ``ws["shop/production"]``.

    Raises
    ------
    InvalidArgument
        The selection holds more than one.
    """
    return ScalePanel(ScaleModel(selection))
