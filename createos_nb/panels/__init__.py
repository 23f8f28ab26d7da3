"""Panels: a change made with the mouse, on the same plans as a change made in Python.

Each is a model, which decides and knows no widget, and a view, which shows it. Two clicks: Plan shows what
would happen, Apply does it.
"""

from createos_nb.panels.deploy import DeployModel, DeployPanel, deploy
from createos_nb.panels.domains import DomainsModel, DomainsPanel, domains
from createos_nb.panels.model import PanelModel
from createos_nb.panels.panel import Panel
from createos_nb.panels.scale import ScaleModel, ScalePanel, scale

__all__ = [
    "DeployModel",
    "DeployPanel",
    "DomainsModel",
    "DomainsPanel",
    "Panel",
    "PanelModel",
    "ScaleModel",
    "ScalePanel",
    "deploy",
    "domains",
    "scale",
]
