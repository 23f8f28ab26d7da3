"""Never run: every line with a mark must be refused by mypy, and no other."""

from __future__ import annotations

import createos_nb as cos
from createos_nb.api.projects import UploadSettings


def misspelt(client: cos.Client) -> None:
    client.projects.list(nmae="shop")  # E: call-arg
    client.deployments.get("p")  # E: call-arg
    client.deployments.get("p", 7)  # E: arg-type
    client.deployments.get("p", "d", "x")  # E: call-arg
    client.deployments.gte("p", "d")  # E: attr-defined
    client.domains.create("p", "shop.example")  # E: call-arg
    client.environments.update_resources("p", "e", cpu="200", memory=500, replicas=1)  # E: arg-type
    client.projects.get("p").unique_nmae.strip()  # E: attr-defined
    client.projects.create(
        unique_name="shop",
        display_name="Shop",
        type="zip",  # E: arg-type
        settings=UploadSettings(),
    )
    client.api_keys.list()[0].secret.reveal()  # E: attr-defined
    client.apps.create(nmae="shop")  # E: call-arg
    client.cronjobs.create("p", name="n", schedule="0 3 * * *", type="ftp", environment_id="e")  # E: arg-type
    client.templates.buy()  # E: call-arg
    client.github.list_branches("1")  # E: call-arg
    client.security_scans.get("p").status.strip()  # E: call-arg
    client.paced(lane="fast")  # E: arg-type


async def not_awaited(client: cos.AsyncClient) -> None:
    client.projects.get("p").unique_name.strip()  # E: attr-defined
    (await client.projects.list(nmae="shop"))  # E: call-arg


def front_door(ws: cos.Workspace) -> None:
    ws["shop/production"].plan_scale(replica=2)  # E: call-arg
    ws["shop/production"].plan_domain()  # E: call-arg
    ws["shop/production"].plan_rollback().apply("because")  # E: call-arg
    cos.connect(transprot="mcp")  # E: call-arg
    cos.conect()  # E: attr-defined
