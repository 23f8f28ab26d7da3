"""Uploaded: what an upload consists of, to tell by its content which deployment it became."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping

from createos_nb.api.message import Request
from createos_nb.api.rest import fetched
from createos_nb.api.secret import Secret

MAX_BYTES = 64 * 1024 * 1024

Contents = Mapping[str, str]
"""The SHA-256 of each file, by its path."""


def sent(request: Request) -> Contents | None:
    """Return what a request uploads; None when it cannot be told."""
    if request.file is not None:
        return _in_archive(request.file)
    files = (request.body or {}).get("files") or []
    try:
        if request.operation == "UploadDeploymentBase64Files":
            return {item["path"]: _digest(base64.b64decode(item["content"], validate=True)) for item in files}
        return {item["path"]: _digest(item["content"].encode()) for item in files}
    except ValueError:
        return None


def kept(download_uri: Secret) -> Contents | None:
    """Fetch what a deployment was built from, and return what it consists of; None when it cannot be had."""
    data = fetched(download_uri, max_bytes=MAX_BYTES)
    return None if data is None else _in_archive(data)


def _in_archive(data: bytes) -> Contents | None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = [item for item in archive.infolist() if not item.is_dir()]
            if sum(item.file_size for item in files) > MAX_BYTES:
                return None
            return {item.filename: _digest(archive.read(item)) for item in files}
    except (zipfile.BadZipFile, zipfile.LargeZipFile, OSError, RuntimeError, NotImplementedError, ValueError):
        return None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
