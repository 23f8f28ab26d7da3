"""The panels as a person uses them: JupyterLab in Chromium, and what the gateway then answers."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from createos_nb.endpoints import reach
from tests.conftest import delete

pytestmark = pytest.mark.browser

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "panels.ipynb"
DOMAIN = "shop.example.localhost"
APPLICATION = """
import http.server, json, os

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"environment": os.environ["PLACE"], "pid": os.getpid()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture
def endpoints(client):
    """Addresses of the environments of a fresh project named as the notebook expects it: ``shop``."""
    from createos_nb.api.environments import EnvironmentSettings, Resources
    from createos_nb.api.projects import UploadSettings

    project_id = client.projects.create(
        unique_name="shop",
        display_name="Shop",
        type="upload",
        settings=UploadSettings(runtime="python:3.12", port=8000, run_command="python main.py"),
    ).id
    for name in ("staging", "production"):
        client.environments.create(
            project_id,
            unique_name=name,
            display_name=name.title(),
            description=f"The shop in {name}",
            resources=Resources(cpu=200, memory=500, replicas=1),
            settings=EnvironmentSettings(run_envs={"PLACE": name}),
            is_auto_promote_enabled=True,
        )
    yield {item.unique_name: item.extra.endpoint for item in client.environments.list(project_id)}
    delete(client, project_id)


def ask(url: str) -> httpx.Response:
    address, headers = reach(url)
    return httpx.get(address, headers=headers, timeout=10, trust_env=False)


def panel(page, heading: str):
    return page.locator(".widget-vbox", has=page.get_by_role("heading", name=heading))


def plan_and_apply(panel, ending: str) -> None:
    """Click twice, and wait until the panel says how it ended."""
    apply = panel.get_by_role("button", name="Apply", exact=True)
    assert apply.is_disabled()
    panel.get_by_role("button", name="Plan", exact=True).click()
    panel.get_by_text("Nothing has been changed.").wait_for()
    apply.click()
    panel.get_by_role("status").get_by_text(ending).first.wait_for()


def test_a_person_deploys_scales_and_switches_a_domain(lab, page, endpoints):
    shutil.copy(NOTEBOOK, lab.root)
    (lab.root / "app").mkdir()
    (lab.root / "app" / "main.py").write_text(APPLICATION)
    outside = []
    page.on("request", lambda request: outside.append(request.url) if "127.0.0.1" not in request.url else None)
    lab.run_all(page, NOTEBOOK.name)

    deploy = panel(page, "Deploy a directory")
    deploy.get_by_label("Project").select_option("shop")
    deploy.get_by_label("Directory").fill("app")
    plan_and_apply(deploy, "v1 is deployed and live on")
    answer = ask(endpoints["production"])
    assert (answer.status_code, answer.json()["environment"]) == (200, "production")

    scale = panel(page, "Scale shop/production")
    scale.get_by_label("Replicas").fill("2")
    plan_and_apply(scale, "shop/production runs 2 replicas")
    assert len({ask(endpoints["production"]).json()["pid"] for _ in range(8)}) == 2

    port = urlsplit(endpoints["production"]).port
    own = f"http://{DOMAIN}:{port}/"
    assert ask(own).status_code == 421
    domains = panel(page, "Domains of shop")
    domains.get_by_label("Domain").fill(DOMAIN)
    domains.get_by_label("Leads to").select_option("production")
    plan_and_apply(domains, f"{DOMAIN} leads to shop/production.")
    domains.get_by_role("row", name=f"{DOMAIN} active production").wait_for()
    assert ask(own).json()["environment"] == "production"

    domains.get_by_label("Leads to").select_option("staging")
    plan_and_apply(domains, f"{DOMAIN} leads to shop/staging.")
    domains.get_by_role("row", name=f"{DOMAIN} active staging").wait_for()
    assert ask(own).json()["environment"] == "staging"

    assert outside == []
