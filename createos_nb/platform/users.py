"""Users: more than one can use a platform, so that a project can go from one to another."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from createos_nb.api.model import Model
from createos_nb.api.operation import Operation
from createos_nb.api.secret import Secret
from createos_nb.platform.platform import Context

Username = Annotated[str, Field(min_length=1, max_length=48, pattern=r"^[a-zA-Z0-9-]+$")]


class NewUser(Model):
    """A new user's name, and the one key that they have."""

    username: str
    key: Secret


def _add(_self: object, *, username: Username) -> NewUser:
    """Make another user of this platform.

    Parameters
    ----------
    username
        1 to 48 letters, digits or hyphens.
    """
    raise NotImplementedError


ADD = Operation(
    _add,
    name="AddUser",
    method="POST",
    path="/local/users",
    tool=None,
    safety="creates",
    paged=False,
    status=201,
)
"""Declared as the API's operations are, but only of this platform."""


async def add(context: Context, *, username: str) -> NewUser:
    """Make another user, and a key of theirs."""
    return NewUser(username=username, key=context.platform.add_user(username))
