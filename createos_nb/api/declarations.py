"""Declarations: importing this declares every operation of every noun."""

from createos_nb.api import (
    account,
    analytics,
    api_keys,
    apps,
    cronjobs,
    deployments,
    domains,
    environments,
    github,
    projects,
    security_scans,
    templates,
)

__all__ = [
    "account",
    "analytics",
    "api_keys",
    "apps",
    "cronjobs",
    "deployments",
    "domains",
    "environments",
    "github",
    "projects",
    "security_scans",
    "templates",
]
