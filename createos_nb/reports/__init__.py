"""Reports: an incident told to people who were not there, in one notebook and one page.

`incident` begins one; `Incident.report` writes it. The other names are the report's parts, each a function
of the `Evidence`: they are what the lines of code in a report's notebook call.
"""

from createos_nb.reports.evidence import Evidence, Gap, Note, Pin
from createos_nb.reports.html import to_html
from createos_nb.reports.incidents import Incident, Report, incident
from createos_nb.reports.notebook import to_notebook
from createos_nb.reports.sections import (
    actions,
    error_paths,
    error_rate_chart,
    errors_logged,
    facts,
    figures,
    live,
    log_excerpt,
    requests_chart,
    timeline,
)

__all__ = [
    "Evidence",
    "Gap",
    "Incident",
    "Note",
    "Pin",
    "Report",
    "actions",
    "error_paths",
    "error_rate_chart",
    "errors_logged",
    "facts",
    "figures",
    "incident",
    "live",
    "log_excerpt",
    "requests_chart",
    "timeline",
    "to_html",
    "to_notebook",
]
