"""Account: who you are, and how much you may have."""

from __future__ import annotations

from pydantic import AliasChoices, Field

from createos_nb.api.model import Model, Omissible, Timestamp
from createos_nb.api.operation import operation
from createos_nb.api.resource import AsyncResource, Resource


class User(Model):
    """The user whose key this is."""

    id: str
    display_name: str | None = None
    username: str | None = None
    email: str | None = None
    profile_image_path: str | None = None
    suspended_at: Timestamp | None = None
    created_at: Timestamp | None = None
    updated_at: Timestamp | None = None


class Quota(Model):
    """How many you have of something, and may have."""

    # The user documentation calls them `used` and `limit`.
    current: int = Field(validation_alias=AliasChoices("current", "used"))
    max: int = Field(validation_alias=AliasChoices("max", "limit"))
    remaining: Omissible[int] = None


class Quotas(Model):
    """Your quotas."""

    projects: Quota
    api_keys: Quota


class _Operations:
    @operation("GetCurrentUser", "GET", "/v1/users/me")
    def user(self) -> User:
        """Return the user whose key this is."""
        raise NotImplementedError

    @operation("GetQuotas", "GET", "/v1/quotas")
    def quotas(self) -> Quotas:
        """Return how many projects and API keys you have, and may have."""
        raise NotImplementedError


class Account(_Operations, Resource):
    """Account: who you are, and how much you may have."""


class AsyncAccount(_Operations, AsyncResource):
    """Account, awaiting."""
