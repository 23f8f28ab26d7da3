"""Domains: lead a name of your own to an environment, from a panel."""

from __future__ import annotations

import ipywidgets as widgets
from traitlets import Tuple as TupleOf
from traitlets import Unicode, link

from createos_nb import schema
from createos_nb.errors import InvalidArgument
from createos_nb.markup import table
from createos_nb.panels.model import Executor, PanelModel, in_thread, note, one_target
from createos_nb.panels.panel import LABEL, Panel, chooser, wide
from createos_nb.plans import Plan
from createos_nb.selection import Selection
from createos_nb.workspace import Workspace


class DomainsModel(PanelModel):
    """Chooses a domain and an environment, and leads the one to the other.

    Parameters
    ----------
    selection
        One environment: the one to begin with, and the project whose domains are shown.
    executor
        Carries work out; default a thread.

    Attributes
    ----------
    environments
        Unique names of the project's environments.
    environment
        The one that the domain is to lead to.
    name
        The domain, new or one of the project's.
    domains
        The project's domains, one mapping of the columns of `schema.DOMAINS` each.
    """

    environments = TupleOf()
    environment = Unicode(None, allow_none=True).tag(choice=True)
    name = Unicode().tag(choice=True)
    domains = TupleOf()

    plan_requests, reload_requests = 4, 2

    def __init__(self, selection: Selection, *, executor: Executor = in_thread) -> None:
        target = one_target(selection)
        self.project, self.environment = target.project, target.environment.unique_name
        super().__init__(Workspace(selection.api), executor=executor)

    @property
    def title(self) -> str:
        """What the panel does and where, in a few words."""
        return f"Domains of {self.project.unique_name}"

    def _read(self) -> None:
        environments = self.ws.api.environments.list(self.project.id)
        domains = self.ws.api.domains.list(self.project.id)
        self.environments = tuple(item.unique_name for item in environments)
        if self.environment not in self.environments:
            self.environment = next(iter(self.environments), None)
        self.domains = tuple(schema.domain_row(self.project.unique_name, item, environments) for item in domains)

    def _plan(self) -> Plan:
        if not self.name.strip():
            raise InvalidArgument("No domain is chosen. Type one, such as 'shop.example.com'.")
        return self.ws[self._target].plan_domain(self.name.strip())

    def _python(self) -> str:
        return f"ws[{self._target!r}].plan_domain({self.name.strip() or '…'!r}).apply()"

    @property
    def _target(self) -> str:
        return f"{self.project.unique_name}/{self.environment}"

    def state_html(self) -> str:
        """Return the table of the project's domains: where each leads, and why it does not if so."""
        if not self.domains:
            return note(f"{self.project.unique_name} has no domain yet.")
        columns = ("domain", "status", "environment", "message")
        rows = [[row[name] or "" for name in columns] for row in self.domains]
        return table(["domain", "status", "leads to", "message"], rows)


class DomainsPanel(Panel):
    """The view of a `DomainsModel`.

    Attributes
    ----------
    name, environment
        The controls.
    """

    model: DomainsModel

    def __init__(self, model: DomainsModel) -> None:
        self.name = widgets.Combobox(
            description="Domain", placeholder="such as shop.example.com", style=LABEL, layout=wide()
        )
        link((model, "name"), (self.name, "value"))
        self.environment = chooser(model, "Leads to", options="environments", value="environment")
        super().__init__(model, [self.name, self.environment])
        model.observe(self._suggest, "domains")
        self._suggest()

    def _suggest(self, _change: object = None) -> None:
        self.name.options = tuple(row["domain"] for row in self.model.domains)


def domains(selection: Selection) -> DomainsPanel:
    """Return a panel that adds a domain to a project and leads it to one of its environments.

    Parameters
    ----------
    selection
        One environment, such as ``ws["shop/production"]``; the panel may choose another of its project.

    Raises
    ------
    InvalidArgument
        The selection holds more than one.
    """
    return DomainsPanel(DomainsModel(selection))
