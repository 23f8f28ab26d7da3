"""Files: reports written whole or not at all, and never with a secret in them."""

from __future__ import annotations

import base64
import html
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from createos_nb.api.secret import Secret
from createos_nb.errors import CreateOSError, InvalidArgument


def write(texts: Mapping[Path, str], *, secrets: Mapping[str, Secret]) -> None:
    """Write files, each at once, after looking for secrets in all of them.

    Parameters
    ----------
    texts
        What to write, by path; a file that is there is replaced in one step.
    secrets
        The values that must not be in any of them, by the name to complain about.

    Raises
    ------
    InvalidArgument
        A text holds one of the values; nothing was written.
    CreateOSError
        A file cannot be written.
    """
    for path, text in texts.items():
        for name in found(text, secrets):
            raise InvalidArgument(
                f"{path.name} would contain the value of {name}, so nothing was written. "
                "Take it out of the title, notes and pins, then report again."
            )
    for path, text in texts.items():
        try:
            _replace(path, text)
        except OSError as error:
            raise CreateOSError(
                f"Cannot write {path}: {error.strerror}. Choose a directory you may write to, with room in it."
            ) from None


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def found(text: str, secrets: Mapping[str, Secret]) -> Iterator[str]:
    """Yield the names of the secrets whose value is in a text, plain or encoded."""
    for name, secret in secrets.items():
        if any(form in text for form in _forms(secret.reveal())):
            yield name


def _forms(value: str) -> set[str]:
    once = json.dumps(value)[1:-1]
    return {
        value,
        once,
        json.dumps(once)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        html.escape(value),
        html.escape(once),
        quote(value, safe=""),
        base64.b64encode(value.encode()).decode(),
        value.encode("unicode_escape").decode(),
    }
