"""A project called ``shop``, which the notebooks ask for when nobody tells them otherwise."""

from __future__ import annotations

import os

import pytest

from createos_nb.api.deployments import SourceFile
from createos_nb.api.environments import EnvironmentSettings, Resources
from createos_nb.api.projects import UploadSettings
from createos_nb.platform.applications import shop
from createos_nb.traffic import Traffic
from tests.conftest import delete


@pytest.fixture(scope="module")
def shop_id(client):
    """The shop with one environment, ``production``, whose second version breaks the checkout, under traffic."""
    project_id = client.projects.create(
        unique_name="shop",
        display_name="Shop",
        type="upload",
        settings=UploadSettings(runtime="python:3.12", port=8000, run_command="python main.py"),
    ).id
    environment_id = client.environments.create(
        project_id,
        unique_name="production",
        display_name="Production",
        description="The shop in production",
        resources=Resources(cpu=200, memory=500, replicas=1),
        settings=EnvironmentSettings(),
        is_auto_promote_enabled=True,
    ).id
    for version in (1, 3):
        files = [SourceFile(path=path, content=text) for path, text in shop(version).items()]
        created = client.deployments.upload_files(project_id, files=files)
        client.environments.wait(project_id, environment_id, deployment_id=created.id, timeout_s=60)
    address = client.environments.get(project_id, environment_id).extra.endpoint
    with Traffic(address, ["/", "/checkout"], per_second=40):
        yield project_id
    delete(client, project_id)


@pytest.fixture
def environ(platform, home):
    """The variables with which a kernel of its own finds the platform."""
    return {
        **os.environ,
        "CREATEOS_NB_HOME": str(home),
        "CREATEOS_API_URL": platform.api_url,
        "CREATEOS_API_KEY_FILE": platform.key_file,
    }
