"""Source files: what an upload consists of, as it travels."""

from __future__ import annotations

import base64
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

from createos_nb.api.contents import MAX_ZIP_BYTES, is_relative
from createos_nb.api.model import Sent


def _relative(path: str, info: ValidationInfo) -> str:
    if not (info.context and info.context.get("received")) and not is_relative(path):
        raise ValueError("it must be relative, with forward slashes, such as src/main.py")
    return path


def _encoded(content: str, info: ValidationInfo) -> str:
    if not (info.context and info.context.get("received")):
        try:
            base64.b64decode(content, validate=True)
        except ValueError:
            raise ValueError("it must be base64; for text use upload_files") from None
    return content


def archive(file: object) -> object:
    """Return an archive's bytes; a name is none, and would be sent in their place."""
    if not isinstance(file, bytes | bytearray):
        raise ValueError("it must be the archive's bytes, such as Path('app.zip').read_bytes()")
    if len(file) > MAX_ZIP_BYTES:
        raise ValueError(f"it has {len(file):,} bytes, and at most {MAX_ZIP_BYTES:,} can be uploaded")
    return bytes(file)


class SourceFile(Sent):
    """One text file of an upload."""

    path: Annotated[str, AfterValidator(_relative)]
    """Relative, with forward slashes."""
    content: str


class EncodedFile(Sent):
    """One file of an upload, of any bytes."""

    path: Annotated[str, AfterValidator(_relative)]
    """Relative, with forward slashes."""
    content: Annotated[str, AfterValidator(_encoded)]
    """In base64."""
