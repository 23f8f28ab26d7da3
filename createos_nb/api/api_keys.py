"""API keys: what signs your requests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AliasChoices, Field, PlainSerializer

from createos_nb.api.environments import PlainDescription
from createos_nb.api.listing import Listing
from createos_nb.api.model import Model, Omissible, Timestamp
from createos_nb.api.operation import operation
from createos_nb.api.projects import Availability
from createos_nb.api.resource import AsyncResource, Resource
from createos_nb.api.secret import Secret

KeyName = Annotated[
    str,
    Field(min_length=4, max_length=48, pattern=r"^[a-zA-Z0-9-]+$", description="letters, digits and hyphens"),
]


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("it has no time zone, write it like 2027-01-31T00:00:00Z")
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("it lies before the year 1 or after the year 9999 in UTC") from None
    return moment


Expiry = Annotated[
    datetime, AfterValidator(_aware), PlainSerializer(lambda moment: moment.isoformat(), when_used="json")
]


class APIKey(Model):
    """A key, without its secret."""

    id: str
    name: str | None = None
    description: str | None = None
    user_id: Omissible[str] = None
    created_at: Timestamp
    updated_at: Omissible[Timestamp] = None
    expired_at: Timestamp | None = None
    """When it expires."""
    revoked_at: Timestamp | None = None


class NewAPIKey(Model):
    """A new key with its secret, which is never shown again."""

    id: str
    # The user documentation calls it `key`.
    secret: Secret = Field(validation_alias=AliasChoices("secret", "key"))


class _Operations:
    @operation("CreateAPIKey", "POST", "/v1/api-keys", safety="creates", status=201)
    def create(self, *, name: KeyName, expiry_at: Expiry, description: PlainDescription | None = None) -> NewAPIKey:
        """Create a key; its secret is in the answer and nowhere else.

        Parameters
        ----------
        name
            4 to 48 letters, digits or hyphens.
        expiry_at
            When it expires; an aware datetime.
        description
            4 to 2048 letters, digits, spaces, ``_`` or ``-``.
        """
        raise NotImplementedError

    @operation("ListAPIKeys", "GET", "/v1/api-keys")
    def list(self) -> Listing[APIKey]:
        """List your keys, without their secrets."""
        raise NotImplementedError

    @operation("UpdateAPIKey", "PUT", "/v1/api-keys/{api_key_id}", safety="idempotent")
    def update(self, api_key_id: str, *, name: KeyName, description: PlainDescription | None = None) -> str:
        """Change a key's name and description; its secret stays.

        Parameters
        ----------
        name
            4 to 48 letters, digits or hyphens; always sent, since the API requires it.
        description
            4 to 2048 letters, digits, spaces, ``_`` or ``-``.

        Raises
        ------
        NotFound
            You have no such key.
        """
        raise NotImplementedError

    @operation("CheckAPIKeyUniqueName", "POST", "/v1/api-keys/available-unique-name", safety="read")
    def check_unique_name(self, *, unique_name: KeyName) -> Availability:
        """Say whether a key name is free.

        Parameters
        ----------
        unique_name
            4 to 48 letters, digits or hyphens.
        """
        raise NotImplementedError

    @operation("RevokeAPIKey", "DELETE", "/v1/api-keys/{api_key_id}", safety="destroys")
    def revoke(self, api_key_id: str) -> str:
        """Revoke a key at once."""
        raise NotImplementedError


class APIKeys(_Operations, Resource):
    """API keys: what signs your requests."""


class AsyncAPIKeys(_Operations, AsyncResource):
    """API keys, awaiting."""
