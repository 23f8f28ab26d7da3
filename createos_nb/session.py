"""Session: the two ways to begin, `connect` to CreateOS and `local` for an embedded one."""

from __future__ import annotations

import os
from pathlib import Path

from createos_nb.api.client import Client, TransportName
from createos_nb.api.secret import Secret
from createos_nb.extras import require
from createos_nb.timerange import duration
from createos_nb.workspace import Workspace


def connect(
    api_url: str | None = None,
    *,
    api_key: str | Secret | Path | None = None,
    transport: TransportName = "rest",
) -> Workspace:
    """Return a workspace on the CreateOS that the settings name. Never an embedded one by itself.

    Parameters
    ----------
    api_url
        Origin of the API; default ``CREATEOS_API_URL``, else the public platform.
    api_key
        A key, or the path of the file that holds it; default ``CREATEOS_API_KEY``,
        ``CREATEOS_API_KEY_FILE``, ``CREATEOS_ACCESS_TOKEN``, then the official client's
        ``~/.createos/.token``. Do not write one into a notebook.
    transport
        ``"rest"``, or ``"mcp"`` to speak the Model Context Protocol instead; everything looks the same.

    Raises
    ------
    SettingsError
        No key was found; the message lists where it was looked for.
    """
    return Workspace(Client(api_url, api_key=api_key, transport=transport))


def local(
    scenario: str | None = None,
    *,
    state: str | os.PathLike[str] | None = None,
    ephemeral: bool = False,
    idle_after: str | None = None,
    admin: bool = False,
) -> Workspace:
    """Return a workspace on an embedded CreateOS on this machine, started when it is not running.

    It builds and runs applications for real, as you, without a sandbox. It is a process of its own: a
    restarted kernel finds it again. End it with ``createos-nb local down``. To ask an application from Python,
    which does not know names under ``.localhost``, see `createos_nb.endpoints.reach`.

    Parameters
    ----------
    scenario
        A situation to load, unless it is there: ``"quickstart"``, ``"bad-deploy"`` or ``"fleet"``, see
        `createos_nb.platform.scenarios`.
    state
        Directory of its state; default in the package's home.
    ephemeral
        A platform of this process alone, in a temporary directory, that ends with it.
    idle_after
        Put to sleep what had no request for so long, such as ``"15m"``; the next request wakes it. None for
        never. A platform that runs already with another time is refused, not changed.
    admin
        Allow to move its clock and to plan faults, with `createos_nb.platform.admin.Admin`.

    Raises
    ------
    PlatformError
        It could not be started; the message says why.
    InvalidArgument
        There is no such scenario; nothing was started.
    Conflict
        The scenario's project has the name of another project of yours.
    """
    require("local", "The embedded platform")
    from createos_nb.platform import service
    from createos_nb.platform.options import Options

    idle_s = duration(idle_after).total_seconds() if idle_after is not None else None
    options = Options(idle_s=idle_s, admin=admin)
    if scenario is not None:
        from createos_nb.platform.scenarios import LOAD, checked

        loading = LOAD.exchange(checked(scenario))
    address = service.start(Path(state) if state is not None else None, ephemeral=ephemeral, options=options)
    client = Client(address.api_url, api_key=Path(address.key_file))
    if scenario is not None:
        try:
            client.projects.run(loading)
        except BaseException:
            client.close()  # Nobody gets it who could.
            raise
    return Workspace(client)
