"""API keys."""

from __future__ import annotations

import secrets
from datetime import datetime

from createos_nb.api.api_keys import APIKey, NewAPIKey
from createos_nb.api.projects import Availability
from createos_nb.errors import BadRequest, Forbidden, NotFound
from createos_nb.platform.platform import Context
from createos_nb.platform.store import digest
from createos_nb.settings import LOCAL_KEY

MAX_KEYS = 50


async def create(context: Context, *, name: str, expiry_at: datetime, description: str | None) -> NewAPIKey:
    """Create a key; only its digest is kept."""
    if expiry_at <= context.now():
        raise BadRequest.answer("expiryAt is in the past.")
    _refuse_taken(context, name)
    if len(in_use(context)) >= MAX_KEYS:
        raise Forbidden.answer(f"You have {MAX_KEYS} API keys, which is the quota. Revoke one first.")
    secret = LOCAL_KEY + secrets.token_urlsafe(32)
    key = context.store.add(
        APIKey,
        user_id=context.user_id,
        name=name,
        description=description,
        digest=digest(secret),
        expired_at=expiry_at,
    )
    return NewAPIKey.model_validate({"id": key.id, "secret": secret})


async def list_all(context: Context) -> list[APIKey]:
    """List a user's keys, newest first."""
    return context.store.find(APIKey, user_id=context.user_id)


async def update(context: Context, *, api_key_id: str, name: str, description: str | None) -> str:
    """Change a key's name and description."""
    key = context.store.get(APIKey, api_key_id, user_id=context.user_id)
    if name != key.name:
        _refuse_taken(context, name)
    changes = {"description": description} if description is not None or "description" in context.cleared else {}
    context.store.change(APIKey, key.id, name=name, **changes)
    return "API key updated"


async def check_unique_name(context: Context, *, unique_name: str) -> Availability:
    """Say whether none of the user's keys in use has a name."""
    return Availability(is_available=unique_name not in {key.name for key in in_use(context)})


def in_use(context: Context) -> list[APIKey]:
    """Return the user's keys that are neither revoked nor expired."""
    keys = context.store.find(APIKey, user_id=context.user_id, revoked_at=None)
    return [key for key in keys if key.expired_at is None or key.expired_at > context.now()]


def _refuse_taken(context: Context, name: str) -> None:
    # By 400: the platform's documents know no 409 here.
    if name in {key.name for key in in_use(context)}:
        raise BadRequest.answer(f"Another of your keys in use is called {name}. Choose another name.")


async def revoke(context: Context, *, api_key_id: str) -> str:
    """Revoke a key at once."""
    key = context.store.get(APIKey, api_key_id, user_id=context.user_id)
    if key.revoked_at is not None:
        raise NotFound.answer("The key is revoked already.")
    context.store.change(APIKey, key.id, revoked_at=context.now())
    return "API key revoked"


HANDLERS = {
    "CreateAPIKey": create,
    "ListAPIKeys": list_all,
    "UpdateAPIKey": update,
    "CheckAPIKeyUniqueName": check_unique_name,
    "RevokeAPIKey": revoke,
}
