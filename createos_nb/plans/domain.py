"""Domain: lead a name of your own to an environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from createos_nb.api.client import Client
from createos_nb.api.domains import Domain, Domains
from createos_nb.errors import InvalidArgument
from createos_nb.markup import one_line
from createos_nb.plans.plan import Call, Plan
from createos_nb.plans.run import Run


@dataclass(frozen=True, kw_only=True, repr=False)
class AssignDomain(Plan):
    """Leads a domain to an environment; see `domain`."""

    kind: ClassVar[str] = "domain"

    name: str

    @property
    def title(self) -> str:
        """The change in a few words."""
        return f"domain {self.name} to {self.target}"

    def observe(self) -> dict[str, object]:
        """Read the domain's state and where it leads."""
        return _facts(self.client, self.project_id, _find(self.client, self.project_id, self.name))

    def carry_out(self, run: Run) -> None:
        """Add it when it is new, check its records when it is pending, lead it to the environment."""
        calls = {call.operation: call for call in self.calls}
        domains, project_id = self.client.domains, self.project_id
        if create := calls.get("CreateDomain"):
            run.step(create, lambda: domains.create(project_id, name=self.name), note=lambda created: created.id)
        domain_id = self._now().id
        if refresh := calls.get("RefreshDomain"):
            run.step(refresh, lambda: domains.refresh(project_id, domain_id))
        look = calls["ListDomains"]
        state = run.step(look, self._now, note=lambda seen: f"{seen.status} {seen.message or ''}".strip())
        if state.status != "active":
            why = one_line(state.message or "the platform gives no reason", limit=300).rstrip(".")
            run.end("unclear", f"{self.name} is {state.status}: {why}. Plan it again then.")
            return
        run.step(
            calls["UpdateDomainEnvironment"],
            lambda: domains.update_environment(project_id, domain_id, environment_id=self.environment_id),
        )
        now = self._now()
        if now.environment_id == self.environment_id:
            run.end("done", f"{self.name} leads to {self.target}.")
        else:
            run.end("unclear", f"{self.name} does not lead to {self.target} yet (it is {now.status}). Look again.")

    def _now(self) -> Domain:
        found = _find(self.client, self.project_id, self.name)
        if found is None:
            raise InvalidArgument(f"{self.name} is gone from {self.project}. Plan again.")
        return found


def domain(
    client: Client, *, project: str, project_id: str, environment: str, environment_id: str, name: str
) -> AssignDomain:
    """Plan to lead a domain to an environment: add it, check its records, assign it, as far as needed.

    Parameters
    ----------
    project, project_id, environment, environment_id
        Where it is to lead.
    name
        The domain, 3 to 255 characters, such as ``"api.example.com"``.

    Raises
    ------
    InvalidArgument
        It is no domain name, or it leads there already.
    """
    Domains.create.request(project_id, name=name)
    name = name.lower()
    found = _find(client, project_id, name)
    if found and found.environment_id == environment_id and found.status == "active":
        raise InvalidArgument(f"{name} leads to {project}/{environment} already.")
    calls = []
    if found is None:
        calls.append(Call("CreateDomain", {"name": name}, f"add {name} to {project}"))
    if found is None or found.status == "pending":
        calls.append(Call("RefreshDomain", {"name": name}, "check its records now"))
    calls += [
        Call("ListDomains", {}, "see that it is active"),
        Call("UpdateDomainEnvironment", {"environment_id": environment_id}, f"lead it to {environment}"),
    ]
    return AssignDomain(
        client=client,
        project=project,
        project_id=project_id,
        environment=environment,
        environment_id=environment_id,
        before=_facts(client, project_id, found),
        after={"leads_to": environment, "status": "active"},
        calls=tuple(calls),
        requests=len(calls) + 4,
        risk="Visitors of the domain reach the other environment at once."
        if found and found.environment_id
        else "None for what serves now: the domain leads nowhere yet.",
        notes=() if found and found.status == "active" else ("It can be assigned once its DNS records are found.",),
        name=name,
    )


def _find(client: Client, project_id: str, name: str) -> Domain | None:
    return next((item for item in client.domains.list(project_id) if item.name.lower() == name), None)


def _facts(client: Client, project_id: str, found: Domain | None) -> dict[str, object]:
    leads_to = ""
    if found and found.environment_id:
        names = {item.id: item.unique_name for item in client.environments.list(project_id)}
        leads_to = names.get(found.environment_id, found.environment_id)
    return {"leads_to": leads_to, "status": found.status if found else "not added"}
