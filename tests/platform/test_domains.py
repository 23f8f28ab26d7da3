from __future__ import annotations

import pytest

from createos_nb.api.environments import EnvironmentSettings, Resources
from createos_nb.errors import Conflict, NotFound, Unprocessable
from createos_nb.platform import service
from tests.platform.conftest import echo, eventually, make_site, visit


@pytest.fixture
def name(site):
    """A name under .localhost that no other test has."""
    return f"{site.client.projects.get(site.project_id).unique_name}.example.localhost"


@pytest.fixture
def gateway(platform):
    """The address of a host at the gateway."""
    port = platform.gateway_url.rpartition(":")[2]
    return lambda host: f"http://{host}:{port}"


def the(site, domain_id):
    (found,) = (domain for domain in site.client.domains.list(site.project_id) if domain.id == domain_id)
    return found


def test_a_name_of_this_machine_becomes_active_on_refresh(site, name):
    created = site.client.domains.create(site.project_id, name=name.upper())
    domain = the(site, created.id)
    assert (domain.name, domain.status, domain.environment_id) == (name, "pending", None)
    assert domain.message
    site.client.domains.refresh(site.project_id, created.id)
    domain = the(site, created.id)
    assert (domain.status, domain.message) == ("active", None)
    with pytest.raises(Unprocessable, match="active"):
        site.client.domains.refresh(site.project_id, created.id)


def test_any_other_name_stays_pending_and_says_why(site):
    created = site.client.domains.create(site.project_id, name="shop.example.com")
    for count in (1, 2):
        site.client.domains.refresh(site.project_id, created.id)
        domain = the(site, created.id)
        assert (domain.status, domain.failed_verification_count) == ("pending", count)
        assert "no DNS" in domain.message
        assert domain.last_failed_verified_at is not None
    with pytest.raises(Unprocessable, match="only an active one"):
        site.client.domains.update_environment(site.project_id, created.id, environment_id=site.environment_id)


def test_a_domain_leads_where_it_is_assigned_and_nowhere_else(site, name, gateway):
    site.live(site.deploy(echo(1)).id)
    staging = site.client.environments.create(
        site.project_id,
        unique_name="staging",
        display_name="Staging",
        description="Beside it",
        resources=Resources(cpu=200, memory=500, replicas=1),
        settings=EnvironmentSettings(run_envs={"WHERE": "staging"}),
        is_auto_promote_enabled=False,
    ).id
    live = site.environment.project_deployment_id
    site.client.environments.assign_deployment(site.project_id, staging, deployment_id=live)
    site.client.environments.wait(site.project_id, staging, deployment_id=live, timeout_s=60)

    domain = site.client.domains.create(site.project_id, name=name, environment_id=site.environment_id).id
    assert visit(gateway(name)).status_code == 421, "not before it is active"
    site.client.domains.refresh(site.project_id, domain)
    assert "WHERE" not in visit(gateway(name)).json()["variables"]
    assert site.environment.extra.custom_domains == (name,)

    site.client.domains.update_environment(site.project_id, domain, environment_id=staging)
    assert visit(gateway(name)).json()["variables"]["WHERE"] == "staging"
    assert site.environment.extra.custom_domains == ()
    assert site.visit().status_code == 200

    site.client.domains.update_environment(site.project_id, domain, environment_id=None)
    assert visit(gateway(name)).status_code == 421

    site.client.domains.update_environment(site.project_id, domain, environment_id=staging)
    site.client.environments.delete(site.project_id, staging)
    site.client.environments.wait(*site.target, timeout_s=60)
    site.client.domains.delete(site.project_id, domain)
    assert visit(gateway(name)).status_code == 421


def test_a_domain_outlives_its_environment_and_leads_nowhere(site, name):
    domain = site.client.domains.create(site.project_id, name=name, environment_id=site.environment_id).id
    site.client.environments.delete(*site.target)
    eventually(lambda: the(site, domain).environment_id is None)


def test_a_domain_follows_its_environment_through_a_promotion(site, name, gateway):
    site.live(site.deploy(echo(1)).id)
    domain = site.client.domains.create(site.project_id, name=name, environment_id=site.environment_id).id
    slow = site.deploy(echo(2, before="import time; time.sleep(1)"))
    # While the new one starts, its hosts are not the running one's to keep.
    site.client.domains.refresh(site.project_id, domain)
    site.live(slow.id)
    assert visit(gateway(name)).json()["version"] == 2


def test_a_name_is_taken_in_any_case_by_whichever_project(site, name):
    site.client.domains.create(site.project_id, name=name)
    with pytest.raises(Conflict, match="Choose another"):
        site.client.domains.create(site.project_id, name=name.upper())


def test_a_domain_does_not_take_an_environments_requests(site):
    """Whichever of two applications had the name last would answer for the other."""
    project = site.client.projects.get(site.project_id).unique_name
    for name in (f"production.{project}.localhost", f"PRODUCTION.{project}.LOCALHOST"):
        with pytest.raises(Conflict, match="environment"):
            site.client.domains.create(site.project_id, name=name)
    assert not site.client.domains.list(site.project_id)


NO_NAMES = ["localhost", "a", "-a.example.com", "a..b", "a b.example.com", "a.example.com:80", "*.b.c"]


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_is_no_name_is_refused(site, http, name):
    answer = http.post(f"/v1/projects/{site.project_id}/domains", json={"name": name})
    assert answer.status_code == 400
    assert "name" in answer.json()["data"]


def test_an_environment_of_another_project_is_not_led_to(site, name):
    with pytest.raises(NotFound):
        site.client.domains.create(site.project_id, name=name, environment_id="no-such-environment")
    with pytest.raises(NotFound):
        site.client.domains.refresh(site.project_id, "no-such-domain")
    assert not site.client.domains.list(site.project_id)


def test_domains_survive_a_restart(own):
    site = make_site(own.start(), "with-domain")
    deployment = site.deploy(echo())
    site.live(deployment.id)
    domain = site.client.domains.create(
        site.project_id, name="shop.example.localhost", environment_id=site.environment_id
    ).id
    site.client.domains.refresh(site.project_id, domain)
    service.stop(own.state)
    site = own.again(site)
    site.live(deployment.id)
    port = own.address.gateway_url.rpartition(":")[2]
    assert visit(f"http://shop.example.localhost:{port}").status_code == 200


def test_no_domain_takes_an_address_that_the_platform_gives_out_or_may(client, site):
    """An address of whatever a project has, or will have: else the next deployment's could be had beforehand."""
    theirs = make_site(client, f"{client.projects.get(site.project_id).unique_name}-b")
    own, other = (client.projects.get(each).unique_name for each in (site.project_id, theirs.project_id))
    for name in (
        *(f"V2.deployments.{project}.localhost" for project in (own, other, "none-yet")),
        *(f"{project}.localhost" for project in (own, other)),
        *(f"{environment}.{other}.localhost" for environment in ("production", "none-yet")),
        f"production.{own}.localhost",
    ):
        with pytest.raises(Conflict, match="may become one"):
            client.domains.create(site.project_id, name=name)
    client.domains.create(site.project_id, name=f"api.{own}.localhost")
    client.projects.delete(theirs.project_id)


@pytest.mark.parametrize("below", ["", "api."])
def test_no_project_is_named_so_that_its_address_is_somebodys_domain(client, site, below):
    free = f"{client.projects.get(site.project_id).unique_name}-c"
    client.domains.create(site.project_id, name=f"{below}{free}.localhost")
    assert not client.projects.check_unique_name(unique_name=free.upper()).is_available
    with pytest.raises(Conflict, match=f"Somebody's domain ends in {free}"):
        make_site(client, free)
