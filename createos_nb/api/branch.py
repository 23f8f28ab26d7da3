"""Branch: what a vcs project's environment follows, and an image project's has none of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from createos_nb.api.message import Exchange
from createos_nb.api.projects import Projects
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
    if project.type == "image" and values["branch"] is not None:
        raise InvalidArgument(
            f"CreateProjectEnvironment: branch={values['branch']!r} is refused: {name} is an image project, which "
            "has no branches. Leave branch out."
        )
