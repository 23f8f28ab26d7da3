"""Masking: values of variables and keys taken out of what applications wrote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from createos_nb.api.secret import Secret

SHORTEST = 8
"""Values with fewer characters are not looked for: ``true`` or ``3000`` is no secret, and is everywhere."""


def worth_hiding(secrets: Mapping[str, Secret], *, public: Iterable[str]) -> dict[str, Secret]:
    """Return the secrets that can be told from ordinary words.

    Parameters
    ----------
    secrets
        By name.
    public
        Texts that a report shows anyway, such as the environment's name and address; a value that is part
        of one of them hides nothing.
    """
    shown = list(public)
    return {
        name: secret
        for name, secret in secrets.items()
        if len(secret) >= SHORTEST and not any(secret.reveal() in text for text in shown)
    }


def masked(frame: pd.DataFrame, secrets: Mapping[str, Secret]) -> pd.DataFrame:
    """Return a frame whose text columns hold the masks of secrets instead of their values.

    Parameters
    ----------
    frame
        Any frame; it is not changed.
    secrets
        What to look for, by name.
    """
    texts = [name for name in frame.columns if frame[name].dtype == "str"]
    clean = frame.copy()
    for secret in secrets.values():
        for name in texts:
            clean[name] = clean[name].str.replace(secret.reveal(), str(secret), regex=False)
    return clean
