"""Branch: what a vcs project's environment follows, and an image project's has none of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from createos_nb.api.message import Exchange
from createos_nb.api.projects import Project, Projects
from createos_nb.errors import InvalidArgument
from createos_nb.markup import one_line

Branch = Annotated[str, Field(min_length=1, max_length=255)]


def fitting(values: Mapping[str, Any]) -> Exchange[None]:
    """Refuse a branch that the project's type has no use for, and a vcs environment without one."""
    project = yield from Projects.get.exchange(values["project_id"])
    name = one_line(project.unique_name, limit=60)
    if project.type == "vcs" and values["branch"] is None:
        raise InvalidArgument(
            f"CreateProjectEnvironment: branch is required: {name} is a vcs project, and each of its environments "
            f"follows a branch. Pass branch='main', or the one it is to follow."
        )
    _refuse_of_image(project, "CreateProjectEnvironment", values["branch"])


def unless_image(values: Mapping[str, Any]) -> Exchange[None]:
    """Refuse to change the branch of an image project's environment, which has none."""
    if values["branch"] is not None:
        project = yield from Projects.get.exchange(values["project_id"])
        _refuse_of_image(project, "UpdateProjectEnvironment", values["branch"])


def _refuse_of_image(project: Project, operation: str, branch: str | None) -> None:
    if project.type == "image" and branch is not None:
        raise InvalidArgument(
            f"{operation}: branch={branch!r} is refused: {one_line(project.unique_name, limit=60)} is an image "
            "project, which has no branches. Leave branch out."
        )
