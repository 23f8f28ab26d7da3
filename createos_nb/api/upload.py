"""Upload: files as a new deployment, sent in the way that fits what is in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType

from createos_nb.api.contents import Contents, Uploadable, Way, contents
from createos_nb.api.message import Exchange, Work
from createos_nb.api.operation import OPERATIONS
from createos_nb.api.progress import bar
from createos_nb.markup import one_line, table

OPERATION: Mapping[Way, str] = MappingProxyType(
    {"files": "UploadDeploymentFiles", "base64": "UploadDeploymentBase64Files", "zip": "UploadDeploymentZip"}
)
"""Which operation takes what is sent in which way."""


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
    bytes
        Of the files, before they were packed.
    digest
        Twelve hex digits of the files; equal for equal files.
    """

    id: str
    sent: tuple[str, ...] = field(repr=False)
    left_out: dict[str, str] = field(repr=False)
    way: Way
    bytes: int
    digest: str

    def __str__(self) -> str:
        reasons = "".join(f"\n  {one_line(path)}: {one_line(why)}" for path, why in self.left_out.items())
        return f"{self._summary}, {len(self.left_out)} left out{':' if reasons else ''}{reasons}"

    @property
    def _summary(self) -> str:
        return f"{len(self.sent)} files ({self.bytes:,} bytes) sent as {self.way}"

    def _repr_html_(self) -> str:
        note = f"Deployment {self.id}: {self._summary}."
        return table(["left out", "why"], list(self.left_out.items()), note=note)


def uploading(project_id: str, source: Uploadable | Contents, *, progress: bool) -> Exchange[Upload]:
    """Upload files; see `createos_nb.api.deployments.Deployments.upload`."""
    found = source
    if not isinstance(found, Contents):
        found = yield Work(partial(contents, found))
    operation = OPERATIONS[OPERATION[found.way]]
    arguments = yield Work(found.arguments)
    request = operation.request(project_id, **arguments)
    size = len(request.file) if request.file is not None else None
    shown = progress and size is not None and size > 1_000_000
    with bar("upload", shown=shown, total=size, unit="B", unit_scale=True) as sent:
        created = yield from operation.calling(replace(request, sent=lambda count: sent.update(count)))
    return Upload(created.id, tuple(found.files), found.left_out, found.way, found.size, found.digest)
