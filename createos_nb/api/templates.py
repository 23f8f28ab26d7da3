"""Templates: projects that others may buy and deploy as their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, model_validator

from createos_nb.api.deployments import Download
from createos_nb.api.listing import Listing
from createos_nb.api.model import Model, Omissible, Timestamp, known
from createos_nb.api.operation import operation
from createos_nb.api.projects import Created
from createos_nb.api.resource import AsyncResource, Resource
from createos_nb.api.secret import Settings

STATUSES = ("draft", "underReview", "publishing", "listed", "rejected", "deleted")
"""The documented states, in the order of a template's life."""

TemplateStatus = Annotated[str, known(*STATUSES)]
TemplateName = Annotated[str, Field(min_length=10, max_length=100)]
Prose = Annotated[str, Field(min_length=100, max_length=10000)]
ImageUri = Annotated[str, Field(max_length=100)]
Amount = Annotated[float, Field(ge=0, le=5000)]
Categories = Annotated[Sequence[Annotated[str, Field(max_length=128)]], Field(max_length=5)]


class Author(Model):
    """Who offers a template."""

    id: str
    name: str | None = None


class ProjectTemplate(Model):
    """A project that others may buy and deploy as their own."""

    id: str
    name: str
    status: TemplateStatus
    description: Omissible[str] = None
    overview: Omissible[str] = None
    use_cases: Omissible[str] = None
    categories: tuple[str, ...] = ()
    amount: Omissible[float] = None
    """What it costs."""
    image_uri: Omissible[str] = None
    video_url: Omissible[str] = None
    user_id: Omissible[str] = None
    project_id: Omissible[str] = None
    environment_id: Omissible[str] = None
    project_configuration: Omissible[Settings] = None
    environment_configuration: Omissible[Settings] = None
    build_resources: Omissible[dict[str, Any]] = None
    deployment_resources: Omissible[dict[str, Any]] = None
    author: Omissible[Author] = None
    has_user_purchased: Omissible[bool] = None
    template_purchased_id: str | None = None
    created_at: Timestamp
    updated_at: Omissible[Timestamp] = None

    @model_validator(mode="before")
    @classmethod
    def _in_one_piece(cls, data: Any) -> Any:
        # The OpenAPI file shows the template and what is said about it as "Part 1" and "Part 2".
        if isinstance(data, dict) and isinstance(data.get("Part 1"), dict):
            rest = {name: value for name, value in data.items() if name not in {"Part 1", "Part 2"}}
            said = data.get("Part 2")
            return {**data["Part 1"], **(said if isinstance(said, dict) else {}), **rest}
        return data


class TemplatePurchase(Model):
    """A template that you bought."""

    id: str
    project_template_id: str
    purchased_amount: Omissible[float] = None
    template: Omissible[ProjectTemplate] = None
    user_id: Omissible[str] = None
    created_at: Timestamp
    updated_at: Omissible[Timestamp] = None


class TemplateRejection(Model):
    """Why a template was not published."""

    id: int
    project_template_id: str
    rejection_reason: str
    created_at: Timestamp
    updated_at: Omissible[Timestamp] = None


class CategoryCount(Model):
    """How many templates a category has."""

    name: str
    count: int


class TemplateCounts(Model):
    """How many templates there are, in all and by category."""

    total: int
    category_counts: tuple[CategoryCount, ...] = ()


class DeployJob(Model):
    """A deployment of a template that has begun."""

    job_id: str


class ReviewStatus(Model):
    """Where a template's review stands."""

    status: TemplateStatus


class _Operations:
    @operation("CreateProjectTemplate", "POST", "/v1/project-templates", safety="creates", status=201)
    def create(
        self,
        *,
        name: TemplateName,
        description: Prose,
        overview: Prose,
        use_cases: Prose,
        project_id: str,
        environment_id: str,
        image_uri: ImageUri,
        project_configuration: dict[str, Any],
        environment_configuration: dict[str, Any],
        deployment_resources: dict[str, Any],
        build_resources: dict[str, Any],
        categories: Categories | None = None,
        amount: Amount | None = None,
        video_url: str | None = None,
    ) -> Created:
        """Create a template from a project, as a draft.

        Parameters
        ----------
        name
            10 to 100 characters.
        description, overview, use_cases
            100 to 10,000 characters each.
        project_id, environment_id
            What it is made from.
        image_uri
            Of its picture, at most 100 characters.
        project_configuration, environment_configuration
            What a buyer's project and environment begin with; never put a secret there.
        deployment_resources, build_resources
            What it needs.
        categories
            At most 5, of at most 128 characters each.
        amount
            Its price, 0 to 5000; free when it is not given.
        video_url
            Of a video about it.
        """
        raise NotImplementedError

    @operation("ListPublishedProjectTemplates", "GET", "/v1/project-templates", paged=True)
    def list(
        self,
        *,
        name: str | None = None,
        categories: str | None = None,
        page_size: Annotated[int, Field(ge=1, le=20)] = 20,
        max_rows: Annotated[int, Field(ge=1)] | None = None,
    ) -> Listing[ProjectTemplate]:
        """List the published templates.

        Parameters
        ----------
        name
            Only those whose name contains this.
        categories
            Only those of these categories, with commas between them.
        page_size
            Rows a request, 1 to 20.
        max_rows
            Rows in all; None for every one.
        """
        raise NotImplementedError

    @operation("ListProjectTemplateCounts", "GET", "/v1/project-templates/counts")
    def counts(self, *, name: str | None = None) -> TemplateCounts:
        """Return how many templates there are, in all and by category.

        Parameters
        ----------
        name
            Only those whose name contains this.
        """
        raise NotImplementedError

    @operation("ListMyProjectTemplates", "GET", "/v1/project-templates/my", paged=True)
    def list_mine(
        self,
        *,
        page_size: Annotated[int, Field(ge=1, le=20)] = 20,
        max_rows: Annotated[int, Field(ge=1)] | None = None,
    ) -> Listing[ProjectTemplate]:
        """List your own templates.

        Parameters
        ----------
        page_size
            Rows a request, 1 to 20.
        max_rows
            Rows in all; None for every one.
        """
        raise NotImplementedError

    @operation("ListProjectTemplatePurchases", "GET", "/v1/project-templates/purchases", paged=True)
    def list_purchases(
        self,
        *,
        page_size: Annotated[int, Field(ge=1, le=50)] = 50,
        max_rows: Annotated[int, Field(ge=1)] | None = None,
    ) -> Listing[TemplatePurchase]:
        """List the templates that you bought.

        Parameters
        ----------
        page_size
            Rows a request, 1 to 50.
        max_rows
            Rows in all; None for every one.
        """
        raise NotImplementedError

    @operation("GetProjectTemplate", "GET", "/v1/project-templates/{template_id}")
    def get(self, template_id: str) -> ProjectTemplate:
        """Return one template.

        Raises
        ------
        NotFound
            There is no such template.
        """
        raise NotImplementedError

    @operation("UpdateProjectTemplate", "PUT", "/v1/project-templates/{template_id}", safety="idempotent")
    def update(
        self,
        template_id: str,
        *,
        name: TemplateName,
        description: Prose,
        overview: Prose,
        use_cases: Prose,
        video_url: Annotated[str, Field(max_length=100)],
        image_uri: ImageUri,
        categories: Categories | None = None,
        amount: Amount | None = None,
    ) -> Created:
        """Change a template of yours.

        Parameters
        ----------
        name
            10 to 100 characters.
        description, overview, use_cases
            100 to 10,000 characters each.
        video_url, image_uri
            At most 100 characters each.
        categories
            At most 5, of at most 128 characters each.
        amount
            Its price, 0 to 5000.
        """
        raise NotImplementedError

    @operation("DeleteProjectTemplate", "DELETE", "/v1/project-templates/{template_id}", safety="destroys")
    def delete(self, template_id: str) -> str:
        """Delete a template of yours; who bought it keeps it.

        Raises
        ------
        NotFound
            There is no such template.
        """
        raise NotImplementedError

    @operation(
        "UpdateProjectTemplateStatus",
        "PUT",
        "/v1/project-templates/{template_id}/send-for-review",
        safety="idempotent",
    )
    def send_for_review(self, template_id: str) -> ReviewStatus:
        """Ask for a template of yours to be published."""
        raise NotImplementedError

    @operation("ListProjectTemplateRejections", "GET", "/v1/project-templates/{template_id}/rejections")
    def list_rejections(self, template_id: str) -> Listing[TemplateRejection]:
        """List why a template of yours was not published."""
        raise NotImplementedError

    @operation(
        "BuyProjectTemplate", "POST", "/v1/project-templates/{template_id}/buy", safety="creates", costs=True
    )
    def buy(self, template_id: str) -> Created:
        """Buy a template: this spends money.

        Raises
        ------
        OutcomeUnknown
            No answer came: look at `list_purchases` before you try again. It is never sent twice by itself.
        """
        raise NotImplementedError

    @operation("DownloadProjectTemplate", "GET", "/v1/project-templates/purchases/{purchase_id}/download")
    def download_uri(self, purchase_id: str) -> Download:
        """Return where the files of a template that you bought can be had."""
        raise NotImplementedError

    @operation(
        "DeployProjectTemplateViaGithub",
        "PUT",
        "/v1/project-templates/purchases/{purchase_id}/deploy-via-github",
        safety="creates",
    )
    def deploy_via_github(self, purchase_id: str, *, installation_id: int) -> DeployJob:
        """Copy a template that you bought into a new repository, and deploy it.

        Parameters
        ----------
        installation_id
            Of the connected GitHub account.

        Notes
        -----
        A PUT that creates: sent twice, it may deploy twice. It is never repeated by itself.
        """
        raise NotImplementedError


class Templates(_Operations, Resource):
    """Templates: projects that others may buy and deploy as their own."""


class AsyncTemplates(_Operations, AsyncResource):
    """Templates, awaiting."""
