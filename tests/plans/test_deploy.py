from __future__ import annotations

import pytest

from createos_nb.api.projects import ImageSettings
from createos_nb.errors import InvalidArgument, PlanStale
from createos_nb.plans import deploy


@pytest.fixture
def app(tmp_path, shop):
    directory = tmp_path / "app"
    directory.mkdir()
    for path, text in shop.files(1).items():
        (directory / path).write_text(text)
    return directory


def planned(shop, directory):
    return deploy(shop.client, project=shop.project, project_id=shop.project_id, directory=directory)


def test_a_directory_is_uploaded_built_and_live(on_wire, app, visit):
    shop, wire = on_wire
    (app / ".env").write_text("TOKEN=s3cret")
    wire.sent.clear()
    plan = planned(shop, app)
    assert wire.changes == []
    assert plan.notes == ("Left out: .env (may hold secrets: use the environment's variables).",)
    assert "It goes live by itself on staging, production" in plan.risk
    said = []

    result = plan.apply(progress=said.append)

    assert result.state == "done", result
    assert wire.changes == ["UploadDeploymentFiles"]
    assert result.measured["environments"] == "staging,production"
    assert shop.environment().project_deployment_id == result.measured["deployment_id"]
    assert visit(shop, ["/products"]) == [200]
    assert any("building" in line for line in said)


def test_binary_files_go_as_base64(on_wire, app):
    shop, wire = on_wire
    (app / "logo.png").write_bytes(b"\x89PNG\xff")
    result = planned(shop, app).apply()
    assert result.state == "done", result
    assert wire.changes == ["UploadDeploymentBase64Files"]


def test_a_build_that_fails_ends_undone_with_the_reason_and_what_was_live_stays(shop, app):
    live = shop.upload(1)
    (app / "main.py").write_text("raise SystemExit('no configuration')")
    result = planned(shop, app).apply()
    assert result.state == "undone"
    assert result.measured["status"] in {"crashing", "build_error", "error"}
    assert result.detail.startswith(f"v2 ended as {result.measured['status']}: ")
    assert shop.environment().project_deployment_id == live.id


def test_files_that_changed_since_are_not_uploaded(on_wire, app):
    shop, wire = on_wire
    plan = planned(shop, app)
    (app / "main.py").write_text("print()")
    wire.sent.clear()
    with pytest.raises(PlanStale, match="content was"):
        plan.apply()
    assert wire.changes == []


def test_a_deployment_that_somebody_made_since_stops_it(on_wire, app):
    shop, wire = on_wire
    plan = planned(shop, app)
    shop.upload(2)
    wire.sent.clear()
    with pytest.raises(PlanStale, match="newest_deployment was , is v1"):
        plan.apply()
    assert wire.changes == []


def test_a_project_that_takes_no_uploads_is_refused(client, app, shop):
    name = f"{shop.project}-image"
    project_id = client.projects.create(
        unique_name=name, display_name="Image", type="image", settings=ImageSettings(port=80)
    ).id
    with pytest.raises(InvalidArgument, match="type image"):
        deploy(client, project=name, project_id=project_id, directory=app)
    client.projects.delete(project_id)
