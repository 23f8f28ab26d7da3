"""Engine: papermill's, with an environment for the kernel alone and no port on the network."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, NotebookExecutionManager
from papermill.log import logger
from traitlets.config import Config

WITHOUT_IRI_GRAMMAR = "import sys; sys.modules.setdefault('rfc3987_syntax', None)"


class CreateOSEngine(NBClientEngine):  # type: ignore[misc]  # papermill ships no type information
    """Runs a notebook for papermill; `createos_nb.runbooks.run` registers it."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: NotebookExecutionManager,
        kernel_name: str,
        log_output: bool = False,  # noqa: FBT001 - papermill's signature
        stdout_file: Any = None,
        stderr_file: Any = None,
        start_timeout: int = 60,
        execution_timeout: int | None = None,
        **kwargs: Any,
    ) -> NotebookNode:
        """Run the notebook.

        Parameters
        ----------
        nb_man, kernel_name, log_output, stdout_file, stderr_file, start_timeout, execution_timeout
            As papermill's own engine takes them; times in seconds.
        **kwargs
            ``kernel_env``, variables that only the kernel gets, None to take one away. The others go to
            `nbclient.NotebookClient`, except those that papermill passes to every engine.
        """
        kernel_env: Mapping[str, str | None] = kwargs.pop("kernel_env", None) or {}
        environment = {name: value for name, value in {**os.environ, **kernel_env}.items() if value is not None}
        for name in ("input_path", "timeout", "startup_timeout"):
            kwargs.pop(name, None)
        # Reading notebooks and drawing charts load jsonschema, which takes a second to make a grammar for
        # addresses in languages that nothing here uses. This kernel is ours, so it may do without.
        kwargs.setdefault("extra_arguments", [f"--IPKernelApp.exec_lines={WITHOUT_IRI_GRAMMAR}"])
        with tempfile.TemporaryDirectory(prefix="createos-nb-") as sockets:
            kwargs.setdefault("config", _private(Path(sockets)))
            client = PapermillNotebookClient(
                nb_man,
                timeout=execution_timeout,
                startup_timeout=start_timeout,
                kernel_name=kernel_name,
                log=logger,
                log_output=log_output,
                stdout_file=stdout_file,
                stderr_file=stderr_file,
                coalesce_streams=True,
                **kwargs,
            )
            executed: NotebookNode = client.execute(env=environment)
        return executed


def _private(sockets: Path) -> Config:
    # Sockets in a directory of its own: nobody else can reach the kernel, and it starts sooner. By default they
    # would all lie in the working directory under the same names, where two runs at once take each other's.
    if sys.platform == "win32":
        return Config()
    return Config({"KernelManager": {"transport": "ipc", "ip": str(sockets / "kernel")}})
