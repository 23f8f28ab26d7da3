"""Variables: what applications are started with, and what may be one."""

from __future__ import annotations

import re
from collections.abc import Mapping

from createos_nb.api.deployments import Deployment
from createos_nb.api.environments import Environment
from createos_nb.api.secret import Secret
from createos_nb.errors import BadRequest

MAX_BYTES = 100_000
"""All names and values together; an operating system refuses to start a program with much more."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def checked(variables: Mapping[str, Secret] | None) -> None:
    """Refuse variables that no program could be started with; values are never in the message.

    Raises
    ------
    BadRequest
        A name is not one, a value has a NUL, or there are too many bytes.
    """
    size = 0
    for name, value in (variables or {}).items():
        text = value.reveal()
        if not _NAME.fullmatch(name):
            raise BadRequest.answer(f"{name[:80]!a} is no name of a variable. Use letters, digits and underscores.")
        if "\0" in text:
            raise BadRequest.answer(f"The value of {name} has a NUL character, which no variable can hold.")
        size += len(name) + len(text.encode())
    if size > MAX_BYTES:
        raise BadRequest.answer(f"The variables have {size:,} bytes; at most {MAX_BYTES:,} are possible.")


def started_with(deployment: Deployment, environment: Environment | None) -> dict[str, str]:
    """Return the variables a deployment is started with: its project's, and over them the environment's."""
    own = environment.settings.run_envs if environment is not None else None
    return revealed(deployment.settings.run_envs if deployment.settings else None) | revealed(own)


def revealed(variables: Mapping[str, Secret] | None) -> dict[str, str]:
    """Return variables in clear, for a child's environment."""
    return {name: value.reveal() for name, value in (variables or {}).items()}
