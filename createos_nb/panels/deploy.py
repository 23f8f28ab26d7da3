"""Deploy: upload a directory to a project, from a panel."""

from __future__ import annotations

from pathlib import Path

import ipywidgets as widgets
from traitlets import Tuple as TupleOf
from traitlets import Unicode, link

from createos_nb.errors import InvalidArgument
from createos_nb.panels.model import PanelModel
from createos_nb.panels.panel import LABEL, Panel, chooser, wide
from createos_nb.plans import Plan
from createos_nb.workspace import Workspace

MAX_SUGGESTIONS = 50
"""Directories that are suggested at most."""


class DeployModel(PanelModel):
    """Chooses a project and a directory, and deploys the one to the other.

    Attributes
    ----------
    projects
        Unique names of the upload projects that there are.
    project
        The one to deploy to.
    directory
        The application's files; a relative one starts at the kernel's working directory.
    suggestions
        Directories beside or in the one that was typed.
    """

    projects = TupleOf()
    project = Unicode(None, allow_none=True).tag(choice=True)
    directory = Unicode().tag(choice=True)
    suggestions = TupleOf()

    plan_requests, reload_requests = 4, 1

    @property
    def title(self) -> str:
        """What the panel does and where, in a few words."""
        return "Deploy a directory"

    def _read(self) -> None:
        listed = self.ws.api.projects.list(type="upload", status="active")
        self.projects = tuple(item.unique_name for item in listed)
        if self.project not in self.projects:
            self.project = next(iter(self.projects), None)
        self.suggestions = _directories(self.directory)

    def _plan(self) -> Plan:
        if self.project is None:
            raise InvalidArgument(
                "This key sees no upload project. Make one with ws.api.projects.create(…, type='upload'), then "
                "press Reload."
            )
        if not self.directory.strip():
            raise InvalidArgument("No directory is chosen. Type the one that holds the application's files.")
        return self.ws.plan_deploy(self.project, directory=self.directory.strip())

    def _python(self) -> str:
        return f"ws.plan_deploy({self.project!r}, directory={self.directory.strip() or '…'!r}).apply()"

    def _chosen(self, change: object) -> None:
        super()._chosen(change)
        self.suggestions = _directories(self.directory)


def _directories(typed: str) -> tuple[str, ...]:
    """Return directories to suggest: those in what was typed, or beside it while it is no directory yet."""
    path = Path(typed.strip() or ".")
    try:
        parent = path if path.expanduser().is_dir() else path.parent
        found = sorted(
            parent / item.name
            for item in parent.expanduser().iterdir()
            if item.is_dir() and not item.name.startswith((".", "__"))
        )
    except (OSError, RuntimeError, ValueError):  # no such directory, home or path: nothing to suggest
        return ()
    return tuple(map(str, found[:MAX_SUGGESTIONS]))


class DeployPanel(Panel):
    """The view of a `DeployModel`.

    Attributes
    ----------
    project, directory
        The controls.
    """

    model: DeployModel

    def __init__(self, model: DeployModel) -> None:
        self.project = chooser(model, "Project", options="projects", value="project")
        self.directory = widgets.Combobox(
            description="Directory",
            placeholder=f"relative to {Path.cwd()}",
            options=model.suggestions,
            style=LABEL,
            layout=wide(),
        )
        link((model, "directory"), (self.directory, "value"))
        model.observe(self._suggest, "suggestions")
        super().__init__(model, [self.project, self.directory])

    def _suggest(self, _change: object) -> None:
        self.directory.options = self.model.suggestions


def deploy(ws: Workspace) -> DeployPanel:
    """Return a panel that uploads a directory as a new deployment of an upload project.

    Parameters
    ----------
    ws
        The platform to deploy to.
    """
    return DeployPanel(DeployModel(ws))
