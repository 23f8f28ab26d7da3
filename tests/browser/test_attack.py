"""SAFETY P05 and P03: the page of an uploaded application, in a real browser, gets at nothing.

It is served from ``<environment>.<project>.localhost``, is opened by the person who runs the platform, and tries
what a page can: to read the API and the MCP server, to change something, to embed them, to read other applications.
"""

from __future__ import annotations

import json

import pytest

from createos_nb.api.environments import EnvironmentSettings, Resources
from createos_nb.api.projects import UploadSettings
from createos_nb.api.secret import Secret
from tests.conftest import delete
from tests.platform.conftest import Site

pytestmark = pytest.mark.browser

SECRET = "open-sesame-4711"
PAGE = "<!doctype html><title>Ducks</title><body>Ducks"
# Each attack returns what it could read; a refusal by the browser is an exception, and reads nothing.
ATTACK = """async ({api, other, key, project, own}) => {
    const read = {};
    const told = (answer) => answer.text().then((text) => answer.type + " " + answer.status + " " + text);
    const attempt = async (name, doing) => {
        try { read[name] = String(await doing()); } catch (error) { read[name] = ""; }
    };
    const rpc = JSON.stringify({jsonrpc: "2.0", id: 1, method: "tools/call",
        params: {name: "DeleteProject", arguments: {project_id: project}}});
    const body = JSON.stringify({uniqueName: "stolen-shop", displayName: "Stolen", type: "upload",
        settings: {runtime: "static"}});
    const credentials = "include";
    for (const path of ["/v1/users/me", "/v1/projects", "/v1/api-keys", "/openapi.json", "/mcp"]) {
        await attempt("get " + path, () => fetch(api + path, {credentials}).then(told));
        await attempt("get opaque " + path, () => fetch(api + path, {mode: "no-cors", credentials}).then(told));
        await attempt("get with a key " + path, () => fetch(api + path, {headers: {"X-Api-Key": key}}).then(told));
    }
    for (const type of ["text/plain", "application/json", "application/x-www-form-urlencoded"]) {
        for (const mode of ["cors", "no-cors"]) {
            for (const headers of [{"Content-Type": type}, {"Content-Type": type, "X-Api-Key": key}]) {
                const how = [type, mode, Object.keys(headers).length].join(" ");
                const sent = (content) => ({method: "POST", mode, headers, credentials, body: content});
                await attempt("create " + how, () => fetch(api + "/v1/projects", sent(body)).then(told));
                await attempt("tool " + how, () => fetch(api + "/mcp", sent(rpc)).then(told));
            }
        }
    }
    for (const method of ["DELETE", "PUT", "PATCH"])
        await attempt(method, () => fetch(api + "/v1/projects/" + project, {method, headers: {"X-Api-Key": key}})
            .then(told));
    await attempt("beacon", () => { navigator.sendBeacon(api + "/v1/projects", new Blob([body])); return ""; });
    await attempt("form", () => new Promise((resolve) => {
        const frame = document.createElement("iframe");
        frame.name = "target";
        const form = Object.assign(document.createElement("form"),
            {method: "POST", action: api + "/v1/projects", target: "target", enctype: "text/plain"});
        form.append(Object.assign(document.createElement("input"), {name: body, value: ""}));
        document.body.append(frame, form);
        setTimeout(() => resolve(frame.contentDocument ? frame.contentDocument.body.innerText : ""), 700);
        form.submit();
    }));
    await attempt("frame", () => new Promise((resolve) => {
        const frame = Object.assign(document.createElement("iframe"), {src: api + "/v1/users/me"});
        setTimeout(() => resolve(frame.contentDocument ? frame.contentDocument.body.innerText : ""), 700);
        document.body.append(frame);
    }));
    await attempt("script", () => new Promise((resolve) => {
        const script = Object.assign(document.createElement("script"), {src: api + "/openapi.json"});
        script.onload = () => resolve("loaded");
        script.onerror = () => resolve("");
        document.body.append(script);
    }));
    await attempt("websocket", () => new Promise((resolve) => {
        const socket = new WebSocket(api.replace("http", "ws") + "/mcp");
        socket.onopen = () => resolve("open");
        socket.onerror = socket.onclose = () => resolve("");
    }));
    await attempt("events", () => new Promise((resolve) => {
        const events = new EventSource(api + "/mcp", {withCredentials: true});
        events.onopen = () => resolve("open");
        events.onerror = () => { events.close(); resolve(""); };
    }));
    await attempt("worker", async () => {
        const worker = await navigator.serviceWorker.register(api + "/v1/users/me");
        return worker.scope;
    });
    await attempt("other application", () => fetch(other + "/", {credentials}).then(told));
    await attempt("other application's cookie", () => document.cookie);
    await attempt("storage", () => JSON.stringify({...localStorage}) === "{}" ? "" : "stored");
    return read;
}"""


def served(client, name, page):
    """Deploy a page and return the site."""
    project_id = client.projects.create(
        unique_name=name, display_name="Ducks", type="upload", settings=UploadSettings(runtime="static")
    ).id
    environment_id = client.environments.create(
        project_id,
        unique_name="production",
        display_name="Production",
        description="The page",
        resources=Resources(cpu=200, memory=500, replicas=1),
        settings=EnvironmentSettings(run_envs={"TOKEN": Secret(SECRET)}),
        is_auto_promote_enabled=True,
    ).id
    site = Site(client, project_id, environment_id)
    site.live(site.deploy({"index.html": page}).id)
    return site


@pytest.mark.browser
def test_the_page_of_an_uploaded_application_gets_at_nothing(platform, client, page, figures):
    ours, other = served(client, "attacking-shop", PAGE), served(client, "quiet-shop", f"{PAGE} {SECRET}")
    try:
        before = [project.wire() for project in client.projects.list()]
        endpoint = ours.environment.extra.endpoint
        requests = []
        page.on("request", lambda request: requests.append(request.url))
        page.context.add_cookies([{"name": "session", "value": SECRET, "url": other.environment.extra.endpoint}])
        page.goto(endpoint)
        facts = {
            "other": other.environment.extra.endpoint,
            "project": other.project_id,
            "key": "skp_local_guessed",
            "own": endpoint,
        }
        read = {}
        for api in (platform.api_url, platform.api_url.replace("127.0.0.1", "localhost")):
            read |= {f"{api} {name}": text for name, text in page.evaluate(ATTACK, {**facts, "api": api}).items()}
        assert len(requests) > 40, "the attack did not take place"
        key = platform.api_key().reveal()
        stolen = {name: text for name, text in read.items() if text and not text.startswith("opaque 0 ")}
        assert stolen == {}
        assert key not in json.dumps(read)
        assert SECRET not in json.dumps(read)
        assert [project.wire() for project in client.projects.list()] == before
        # A page that is led to the API itself shows no more than a refusal.
        for api in (platform.api_url, platform.api_url.replace("127.0.0.1", "localhost")):
            page.goto(f"{api}/v1/users/me")
            assert json.loads(page.inner_text("body"))["status"] == "fail"
        assert page.context.cookies(platform.api_url) == []
    finally:
        for site in (ours, other):
            delete(client, site.project_id)
    with figures():
        print(f"\nP05: {len(read)} attacks by a page in Chromium: stolen tokens 0, writes 0, answers read 0")
