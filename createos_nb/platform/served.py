"""Served: what an environment serves, and how often it had to be started again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from createos_nb.platform.children import Variables
from createos_nb.platform.processes import Process

if TYPE_CHECKING:
    from createos_nb.platform.builds import Artefact


@dataclass(eq=False)
class Served:
    """What an environment serves.

    Attributes
    ----------
    hosts
        Host names, without port, by which it is reached.
    memory_mb, cpu_millicores
        Limits of each replica, in MiB and thousandths of a core; None for none.
    processes
        Those that run, by replica from 0.
    crashes
        How often each replica ended since it last ran well.
    restarts
        When each was started again lately, in unix seconds.
    """

    environment_id: str
    hosts: Sequence[str]
    deployment_id: str
    artefact: Artefact
    variables: Variables = field(repr=False)
    replicas: int
    memory_mb: int | None
    cpu_millicores: int | None
    processes: dict[int, Process] = field(default_factory=dict)
    crashes: dict[int, int] = field(default_factory=dict)
    restarts: dict[int, list[float]] = field(default_factory=dict)

    @property
    def ignores_port(self) -> bool:
        """Whether it listens on a port of its own choice, and so can run only once."""
        return any(process.ignores_port for process in self.processes.values())
