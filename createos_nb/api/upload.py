"""Upload: a directory as a new deployment, sent in the way that fits what is in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from createos_nb.api.contents import MAX_ZIP_BYTES, contents
from createos_nb.api.message import Exchange
from createos_nb.api.operation import OPERATIONS
from createos_nb.errors import InvalidArgument


@dataclass(frozen=True)
class Upload:
    """What was uploaded, and what was not.

    Attributes
    ----------
    id
        Of the new deployment.
    sent
        Relative paths of the files that were sent.
    left_out
        Relative path to the reason why it was not; directories end with a slash.
    way
        ``"files"``, ``"base64"`` or ``"zip"``.
    """

    id: str
    sent: tuple[str, ...]
    left_out: dict[str, str]
    way: str

    def __str__(self) -> str:
        reasons = "".join(f"\n  {path}: {reason}" for path, reason in self.left_out.items())
        return f"{len(self.sent)} files sent as {self.way}, {len(self.left_out)} left out{reasons}"


def uploading(project_id: str, directory: str | os.PathLike[str]) -> Exchange[Upload]:
    """Upload a directory; see `createos_nb.api.deployments.Deployments.upload`."""
    found = contents(directory)
    if (texts := found.texts()) is not None:
        way, files = "files", _listed(texts)
        created = yield from OPERATIONS["UploadDeploymentFiles"].exchange(project_id, files=files)
    elif (encoded := found.encoded()) is not None:
        way, files = "base64", _listed(encoded)
        created = yield from OPERATIONS["UploadDeploymentBase64Files"].exchange(project_id, files=files)
    else:
        way, archive = "zip", found.zipped()
        if len(archive) > MAX_ZIP_BYTES:
            raise InvalidArgument(
                f"{found.root} is {len(archive) >> 20} MB zipped; 50 MB is the most there can be."
            )
        created = yield from OPERATIONS["UploadDeploymentZip"].exchange(project_id, file=archive)
    return Upload(created.id, tuple(found.files), found.left_out, way)


def _listed(texts: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"path": path, "content": text} for path, text in texts.items()]
