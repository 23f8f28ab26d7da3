"""Scale: change what an environment may use: replicas, cpu, memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from createos_nb.api.client import Client
from createos_nb.api.environments import Environment, Environments, Resources
from createos_nb.errors import CreateOSError, InvalidArgument
from createos_nb.plans.facts import at_rest
from createos_nb.plans.plan import Call, Plan
from createos_nb.plans.run import Run


@dataclass(frozen=True, kw_only=True, repr=False)
class Scale(Plan):
    """Changes an environment's resources; see `scale`."""

    kind: ClassVar[str] = "scale"

    resources: Resources

    def observe(self) -> dict[str, object]:
        """Read the present resources."""
        return _facts(self.client.environments.get(self.project_id, str(self.environment_id)))

    def carry_out(self, run: Run) -> None:
        """Write the resources, and wait until they are in force."""
        resize, wait = self.calls
        wanted = self.resources
        run.step(
            resize,
            lambda: self.client.environments.update_resources(
                self.project_id,
                str(self.environment_id),
                cpu=wanted.cpu,
                memory=wanted.memory,
                replicas=wanted.replicas,
            ),
        )
        environment = run.step(
            wait,
            lambda: at_rest(self.client, self.project_id, str(self.environment_id), resources=wanted),
            note=lambda seen: f"{seen.resources.replicas} replicas" if seen.resources else seen.status,
        )
        if wanted.same_as(environment.resources):
            run.end("done", f"{self.target} runs {_sentence(wanted)}.")
        else:
            run.end("unclear", f"{self.target} is active, but not with {_sentence(wanted)}. Look at its logs.")


def scale(
    client: Client,
    *,
    project: str,
    project_id: str,
    environment: str,
    environment_id: str,
    replicas: int | None = None,
    cpu_millicores: int | None = None,
    memory_mb: int | None = None,
) -> Scale:
    """Plan to change what an environment may use; what is not given stays.

    Parameters
    ----------
    project, project_id, environment, environment_id
        Where.
    replicas
        Processes, 1 to 3.
    cpu_millicores
        For each replica, 200 to 500.
    memory_mb
        For each replica, 500 to 1024.

    Raises
    ------
    InvalidArgument
        A value is out of bounds, or nothing would change.
    """
    now = client.environments.get(project_id, environment_id)
    if now.resources is None:
        raise CreateOSError(
            f"The platform does not say what {project}/{environment} may use, so it stays as it is."
        )
    wanted = {
        "replicas": now.resources.replicas if replicas is None else replicas,
        "cpu": now.resources.cpu if cpu_millicores is None else cpu_millicores,
        "memory": now.resources.memory if memory_mb is None else memory_mb,
    }
    # The declaration knows the bounds; asking it for the request checks them before anything is sent.
    Environments.update_resources.request(project_id, environment_id, **wanted)
    resources = Resources(**wanted)
    if resources.same_as(now.resources):
        raise InvalidArgument(f"{project}/{environment} has {_sentence(resources)} already.")
    return Scale(
        client=client,
        project=project,
        project_id=project_id,
        environment=environment,
        environment_id=environment_id,
        before=_facts(now),
        after={"replicas": resources.replicas, "cpu_millicores": resources.cpu, "memory_mb": resources.memory},
        calls=(
            Call("UpdateProjectEnvironmentResources", wanted, f"give it {_sentence(resources)}"),
            Call("ListProjectEnvironments", {}, "wait until it is active"),
        ),
        requests=10,
        risk="Replicas are restarted one set for another; fewer or smaller ones may not carry the traffic."
        if _shrinks(now.resources, resources)
        else "Replicas are restarted one set for another.",
        resources=resources,
    )


def _facts(environment: Environment) -> dict[str, object]:
    resources = environment.resources
    return {
        "replicas": resources.replicas if resources else None,
        "cpu_millicores": resources.cpu if resources else None,
        "memory_mb": resources.memory if resources else None,
        "environment_status": environment.status,
    }


def _sentence(resources: Resources) -> str:
    plural = "" if resources.replicas == 1 else "s"
    return f"{resources.replicas} replica{plural} of {resources.cpu} millicores and {resources.memory} MB"


def _shrinks(now: Resources, wanted: Resources) -> bool:
    return wanted.replicas < now.replicas or wanted.cpu < now.cpu or wanted.memory < now.memory
