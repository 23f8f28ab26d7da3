"""The command line: ``createos-nb demo``, ``local`` and ``runbook``.

Exit codes: 0 done, 1 failed, 2 refused or bad input, 3 unclear.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import click

from createos_nb import __version__, errors
from createos_nb.extras import explained

if TYPE_CHECKING:
    from createos_nb.platform.service import Address

P = ParamSpec("P")

EXIT_CODES = {"done": 0, "dry_run": 0, "undone": 1, "failed": 1, "unclear": 3}
_REFUSED = (
    errors.SettingsError,
    errors.InvalidArgument,
    errors.NotFound,
    errors.PlanStale,
    errors.LeaseHeld,
)


def _plainly(command: Callable[P, int | None]) -> Callable[P, None]:
    """Turn this package's errors into one sentence and an exit code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = command(*args, **kwargs) or 0
        except ModuleNotFoundError as error:
            click.echo(f"createos-nb: {explained(error, 'This command')}", err=True)
            code = 2
        except errors.CreateOSError as error:
            click.echo(f"createos-nb: {error}", err=True)
            refused = isinstance(error, _REFUSED) or getattr(error, "refused", False)
            code = 2 if refused else 1
        except KeyboardInterrupt:
            click.echo("createos-nb: interrupted.", err=True)
            code = 1
        sys.exit(code)

    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="createos-nb")
def main() -> None:
    """Operate applications on CreateOS from notebooks."""
    # A process of our own: jsonschema may do without its grammar of international addresses, which takes a second.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type] # None is how an import is ruled out


@main.command()
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("createos-nb-demo"),
    show_default=True,
    help="Directory for the platform's state, the notebooks and the report.",
)
@click.option("--no-browser", is_flag=True, help="Do not open the report.")
@click.option("--keep", is_flag=True, help="Leave the platform and the application running.")
@_plainly
def demo(output: Path, *, no_browser: bool, keep: bool) -> int:
    """Break a small shop on an embedded CreateOS, look, roll back, and tell.

    Everything is real: builds, processes, traffic, notebooks. Needs no account.
    """
    from createos_nb.demo import Demo

    return EXIT_CODES[Demo(output, keep=keep, open_browser=not no_browser).run()]


@main.group()
def local() -> None:
    """Run the embedded CreateOS as a server."""


_state = click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of its state; default in the package's home.",
)
_as_json = click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
_PORT = click.IntRange(0, 65_535)
_NOT_RUNNING = "The embedded platform is not running. Start it with:"


@local.command()
@_state
@click.option("--port", type=_PORT, default=0, show_default=True, help="Port of the API; 0 lets the system choose.")
@click.option("--gateway-port", type=_PORT, default=0, show_default=True, help="Port of the gateway.")
@click.option("--bind", default="127.0.0.1", show_default=True, help="0.0.0.0 lets other machines in.")
@click.option(
    "--rate-limit",
    type=click.Choice(["generous", "documented"]),
    default="generous",
    show_default=True,
    help="Requests a key has: as many as it likes, or as on the real platform.",
)
@click.option(
    "--idle-after",
    default="never",
    show_default=True,
    metavar="DURATION",
    help="Put to sleep what had no request for so long, such as 15m; the next request wakes it.",
)
@click.option("--keep-records", default="forever", show_default=True, metavar="DURATION", help="Of requests.")
@click.option("--keep-logs", default="forever", show_default=True, metavar="DURATION", help="Of applications.")
@click.option(
    "--admin", is_flag=True, help="Allow what createos_nb.platform.admin does: plan faults, move the clock."
)
@click.option("--detach", is_flag=True, help="Return once it answers, as it does without this, too.")
@_as_json
@_plainly
def up(
    state: Path | None,
    *,
    port: int,
    gateway_port: int,
    bind: str,
    rate_limit: str,
    idle_after: str,
    keep_records: str,
    keep_logs: str,
    admin: bool,
    detach: bool,
    as_json: bool,
) -> None:
    """Start it, or find the one that runs, if it is as asked.

    It is a process of its own, which goes on until `down`.
    """
    from createos_nb.platform import service
    from createos_nb.platform.options import Options

    del detach  # It is never attached to this process.
    options = Options(
        bind=bind,
        idle_s=_seconds(idle_after),
        keep_records_s=_seconds(keep_records),
        keep_logs_s=_seconds(keep_logs),
        admin=admin,
        rate_limit=rate_limit,
    )
    address = service.start(state, api_port=port, gateway_port=gateway_port, options=options)
    if address.options.lets_others_in:
        click.echo(
            f"Other machines reach it on {address.options.bind}: with your key they can run programs as you, and "
            "they reach its applications without one. Nothing is encrypted.",
            err=True,
        )
    _show(address, as_json=as_json)


def _seconds(text: str) -> float | None:
    """Return how long a duration is, None for never and forever."""
    from createos_nb.timerange import duration

    return None if text.strip().lower() in {"never", "forever"} else duration(text).total_seconds()


@local.command()
@_state
@_as_json
@_plainly
def status(state: Path | None, *, as_json: bool) -> int:
    """Say whether it runs, where, and which limits are in force."""
    from createos_nb.platform import service

    address = service.status(state)
    if address is None:
        click.echo(f"{_NOT_RUNNING} {service.local_command('up', state)}", err=True)
        return 1
    try:
        limits = _limits(address)
    except errors.CreateOSError as error:  # Whoever asks has a platform that does not do as it should.
        _show(address, as_json=as_json)
        click.echo(f"It runs, but its limits could not be asked for: {error}", err=True)
        return 0
    _show(address, as_json=as_json, limits=limits)
    return 0


@local.command()
@_state
@_plainly
def down(state: Path | None) -> None:
    """Stop it and the applications it runs; its state stays."""
    from createos_nb.platform import service

    click.echo("Stopped." if service.stop(state) else "It was not running.")


@local.command()
@_state
@click.option("--lines", default=50, show_default=True, type=click.IntRange(min=1), help="How many, from the end.")
@_plainly
def logs(state: Path | None, *, lines: int) -> None:
    """Print the last lines of its own log; those of an application are ws[...].logs()."""
    from createos_nb.platform import service

    for line in service.log_lines(state, lines):
        click.echo(line)


@local.command()
@_state
@_plainly
def key(state: Path | None) -> int:
    """Print your key to it, for another client; whoever has it can run programs as you."""
    from createos_nb.platform import service

    address = service.status(state)
    if address is None:
        click.echo(f"{_NOT_RUNNING} {service.local_command('up', state)}", err=True)
        return 1
    click.echo(address.api_key().reveal())
    return 0


@local.command()
@_state
@click.confirmation_option(prompt="Delete everything the embedded platform holds?")
@_plainly
def reset(state: Path | None) -> None:
    """Stop it and delete its state."""
    from createos_nb.platform import service

    service.reset(state)
    click.echo("Its state is deleted.")


@local.command()
@_state
@_plainly
def env(state: Path | None) -> int:
    """Print the variables that point papermill and other tools at it; use with eval."""
    from createos_nb.platform import service

    address = service.status(state)
    if address is None:
        click.echo(f"{_NOT_RUNNING} {service.local_command('up', state)}", err=True)
        return 1
    # These would be sent there instead: a key of another platform, to be refused.
    click.echo("unset CREATEOS_API_KEY CREATEOS_ACCESS_TOKEN")
    for name, value in (("CREATEOS_API_URL", address.api_url), ("CREATEOS_API_KEY_FILE", address.key_file)):
        click.echo(f"export {name}={shlex.quote(value)}")
    return 0


def _limits(address: Address) -> dict[str, Any]:
    """Ask a platform what limits are in force."""
    from createos_nb.api.client import Client
    from createos_nb.platform.admin import Admin

    with Client(address.api_url, api_key=Path(address.key_file)) as client:
        return Admin(client).status().model_dump()


def _show(address: Address, *, as_json: bool, limits: Mapping[str, Any] | None = None) -> None:
    facts = {**address.to_json(), **(limits or {})}
    lines = (f"{name:15} {'none' if value is None else value}" for name, value in facts.items())
    click.echo(json.dumps(facts) if as_json else "\n".join(lines))


@main.group()
def runbook() -> None:
    """List, describe and run the runbooks."""


@runbook.command("list")
@_plainly
def list_runbooks() -> None:
    """List the runbooks and their parameters."""
    from createos_nb import runbooks

    for row in runbooks.list().itertuples():
        click.echo(f"{row.name:18} {row.title}\n{'':18} parameters: {row.parameters}")


@runbook.command()
@click.argument("name")
@_plainly
def describe(name: str) -> None:
    """Describe a runbook's parameters."""
    from createos_nb import runbooks

    click.echo(runbooks.describe(name).to_string(index=False))


@runbook.command()
@click.argument("name")
@click.option("-p", "--parameter", "pairs", multiple=True, metavar="KEY=VALUE", help="A parameter; JSON or text.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Where the run's notebook goes.")
@_plainly
def run(name: str, pairs: tuple[str, ...], output: Path | None) -> int:
    """Run a runbook on the platform that the environment names; a dry run unless dry_run=false."""
    from createos_nb import runbooks

    declared = runbooks.describe(name)
    types = dict(zip(declared["parameter"], declared["type"], strict=True))
    done = runbooks.run(name, output=output, **dict(_pair(pair, types) for pair in pairs))
    click.echo(f"{done.name}: {done.state}. {done.outcome.get('detail', '')}\n{done.output}")
    return EXIT_CODES.get(done.state, 1)


def _pair(text: str, types: Mapping[str, str]) -> tuple[str, Any]:
    """Read KEY=VALUE; a value of a parameter that is a text stays as it is, a plan's hash of digits say."""
    name, equals, value = text.partition("=")
    if not equals:
        raise errors.InvalidArgument(f"{text!r} is not KEY=VALUE. Write it like -p environment=shop/production.")
    if types.get(name) == "str":
        return name, value
    try:
        return name, json.loads(value.lower() if value in {"True", "False"} else value)
    except ValueError:
        return name, value
