"""Project settings: how a project is built and run, and where its source is; each type has settings of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from createos_nb.api.model import Bounds, Model, Omissible, Sent
from createos_nb.api.secret import Secret

Port = Annotated[int, Bounds(minimum=1, maximum=65535)]
ShortText = Annotated[str, Bounds(max_length=255)]


class UploadSettings(Sent):
    """How an upload project is built and run; an empty command is detected from the files."""

    framework: ShortText | None = None
    runtime: ShortText | None = None
    """Such as ``"python:3.12"``, ``"node:20"`` or ``"static"``."""
    port: Omissible[Port] = None
    directory_path: ShortText | None = None
    install_command: ShortText | None = None
    build_command: ShortText | None = None
    run_command: ShortText | None = None
    build_dir: ShortText | None = None
    build_flag: ShortText | None = None
    run_flag: ShortText | None = None
    build_vars: Omissible[dict[str, Secret]] = None
    run_envs: Omissible[dict[str, Secret]] = None
    has_dockerfile: bool = False
    use_build_ai: Annotated[bool, Field(alias="useBuildAI")] = False


class VcsSettings(UploadSettings):
    """How a repository is built and run."""

    port: Omissible[Port] = None
    build_flags: Omissible[dict[str, str]] = None
    ignore_branches: Omissible[list[ShortText]] = None


class ImageSettings(Sent):
    """How a container image is run."""

    port: Port
    run_envs: Omissible[dict[str, Secret]] = None


Settings = UploadSettings | VcsSettings | ImageSettings


class VcsSource(Sent):
    """The repository of a vcs project."""

    vcs_name: Literal["github"] = "github"
    vcs_installation_id: str
    vcs_repo_id: str


# The documentation's own examples send an empty object for the types that have no source.
Source = Annotated[VcsSource | None, BeforeValidator(lambda source: source or None)]


_SHAPES: dict[str, type[Model]] = {"vcs": VcsSettings, "image": ImageSettings, "upload": UploadSettings}


def settings_of(kind: str) -> type[Model]:
    """Return the model of the settings that a type of project has."""
    return _SHAPES[kind]


def fitting(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """See to it that a project's settings and source are those of its type."""
    kind, settings, source = values.get("type"), values.get("settings"), values.get("source")
    shape = _SHAPES.get(kind) if isinstance(kind, str) else None
    if shape is None or settings is None:
        return values
    if type(settings) is VcsSettings and shape is not VcsSettings and settings.model_fields_set:
        # Every project is read with the model that has most; what it leaves empty makes no difference.
        told = {name: value for name, value in settings if value}
        if told.keys() <= shape.model_fields.keys():
            settings = shape.model_validate(told)
            values = {**values, "settings": settings}
    if isinstance(settings, Model) and type(settings) is not shape:
        raise ValueError(
            f"settings={type(settings).__name__} is refused: a project of type {kind!r} takes {shape.__name__}."
        )
    if kind == "vcs" and not source:
        raise ValueError("source is required for a project of type 'vcs': it says which repository it is.")
    if kind != "vcs" and source:
        raise ValueError(f"source is refused: only a project of type 'vcs' has one, not one of type {kind!r}.")
    if isinstance(settings, dict):
        if isinstance(settings.get("port"), str):
            raise ValueError("settings.port is refused: it must be a whole number, not a text.")
        return {**values, "settings": shape.model_validate(settings)}
    return values
