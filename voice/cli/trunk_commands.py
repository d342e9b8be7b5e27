"""`tocsin plan`, `apply`, `trunk …` and `permissions …`: what an operator asks of a running service."""

from typing import Annotated

import typer

from voice.cli.options import DEFAULT_URL, ApiKey, Json, Url

trunk = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The trunks of a running service.")
permissions = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Which countries live calls may go to.")

TrunkFile = Annotated[str, typer.Argument(metavar="FILE", help="A trunk file, as in config/trunks.example.toml.")]
WhichFile = Annotated[
    str | None,
    typer.Option("--file", envvar="TOCSIN_TRUNKS", help="The trunk file to compare with; needs the scope admin."),
]


def plan(file: TrunkFile, api_key: ApiKey, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Show what a trunk file would change.

    Nothing is changed. Exit 0: nothing would be. 8: something would.
    """
    from voice.cli.trunks import run_plan

    raise typer.Exit(run_plan(file, url, api_key, as_json=as_json))


def apply(
    file: TrunkFile,
    api_key: ApiKey,
    url: Url = DEFAULT_URL,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Make the trunks of a running service what a file says.

    Shows the plan and asks. Trunks that a file brought and this one does not
    name are removed; those made over the API stay.
    """
    from voice.cli.trunks import run_apply

    raise typer.Exit(run_apply(file, url, api_key, yes=yes, as_json=as_json))


WhichTrunk = Annotated[str, typer.Argument(metavar="ID", help="As `tocsin trunk list` shows it.")]


@trunk.command("list")
def trunk_list(api_key: ApiKey, url: Url = DEFAULT_URL, file: WhichFile = None, as_json: Json = False) -> None:
    """All trunks: do they take calls, who keeps them, do they differ from the file."""
    from voice.cli.trunks import run_list

    raise typer.Exit(run_list(url, api_key, file, as_json=as_json))


@trunk.command("status")
def trunk_status(
    trunk_id: WhichTrunk,
    api_key: ApiKey,
    url: Url = DEFAULT_URL,
    file: WhichFile = None,
    as_json: Json = False,
) -> None:
    """One trunk: does it take calls, how does it stand, and if not why."""
    from voice.cli.trunks import run_status

    raise typer.Exit(run_status(trunk_id, url, api_key, file, as_json=as_json))


@trunk.command("register")
def trunk_register(trunk_id: WhichTrunk, api_key: ApiKey, url: Url = DEFAULT_URL) -> None:
    """Register at its registrar now, also after a refused login, and keep it so."""
    from voice.cli.trunks import run_register

    raise typer.Exit(run_register(trunk_id, url, api_key, registers=True))


@trunk.command("unregister")
def trunk_unregister(trunk_id: WhichTrunk, api_key: ApiKey, url: Url = DEFAULT_URL) -> None:
    """Take its registration back; no calls leave by it until it registers again."""
    from voice.cli.trunks import run_register

    raise typer.Exit(run_register(trunk_id, url, api_key, registers=False))


@trunk.command("check")
def trunk_check(
    trunk_id: WhichTrunk,
    api_key: ApiKey,
    url: Url = DEFAULT_URL,
    to: Annotated[str | None, typer.Option(help="A number to ring; the sandbox rings its own phone.")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="One of the trunk's caller ids.")] = None,
    as_json: Json = False,
) -> None:
    """Try every step of a trunk, and say what to mend.

    DNS, connect, TLS, OPTIONS, REGISTER; with a number also INVITE, RTP both
    ways, DTMF, BYE. Also for a trunk that is disabled. Exit 0: it works.
    14: the step that is named does not. 15: no sound comes back.
    """
    from voice.cli.selftest import run_check

    raise typer.Exit(run_check(trunk_id, to, from_, url, api_key, as_json=as_json))


Where = Annotated[list[str], typer.Argument(metavar="WHERE…", help="Countries (gb) and prefixes (4420).")]


@permissions.command("show")
def permissions_show(api_key: ApiKey, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """The countries of your caller ids, and what is allowed besides."""
    from voice.cli.permissions import run_show

    raise typer.Exit(run_show(url, api_key, as_json=as_json))


@permissions.command("allow")
def permissions_allow(where: Where, api_key: ApiKey, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Let live calls go there too; needs the scope admin."""
    from voice.cli.permissions import run_change

    raise typer.Exit(run_change(where, [], url, api_key, as_json=as_json))


@permissions.command("deny")
def permissions_deny(where: Where, api_key: ApiKey, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Take entries off the list.

    The countries of your caller ids stay.
    """
    from voice.cli.permissions import run_change

    raise typer.Exit(run_change([], where, url, api_key, as_json=as_json))
