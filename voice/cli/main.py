"""The tocsin command: one file per group of commands, imported only when it is used."""

import sys
from typing import Annotated

import typer

from voice.cli.options import DEFAULT_URL, ApiKey, Json, Url
from voice.cli.trunk_commands import apply, permissions, plan, trunk

app = typer.Typer(
    name="tocsin",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich takes 200 ms to load, for boxes around the help
    help="Phones people and speaks, over your own SIP trunk.\n\n"
    "Try first:  tocsin demo\n\nThen, beside it:  tocsin call 12025550110 --say Hello --wait --api-key tk_test_demo",
)
keys = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="API keys: create, list, revoke, resume.")
app.add_typer(keys, name="keys")
chaos = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Make sandbox calls go wrong on purpose.")
app.add_typer(chaos, name="chaos")
app.add_typer(trunk, name="trunk")
app.add_typer(permissions, name="permissions")
config = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Settings and trunk files, before they matter.")
app.add_typer(config, name="config")


@app.command()
def demo(
    once: Annotated[
        bool | None,
        typer.Option("--once/--stay", help="End after the call, or stay up until Ctrl-C (default on a terminal)."),
    ] = None,
    as_json: Json = False,
    port: Annotated[int, typer.Option(help="HTTP port; the next free one when it is taken.")] = 8088,
    data: Annotated[str | None, typer.Option(help="Keep the data here instead of a temporary folder.")] = None,
    to: Annotated[str, typer.Option(help="Another number of the catch-all phone; see: tocsin magic.")] = "12025550110",
) -> None:
    """Ring a phone here, hear it, get the signed webhook."""
    from voice.cli.interrupts import Interrupts

    interrupts = Interrupts()  # before what takes long to load

    from voice.cli.demo import run

    once = not sys.stdout.isatty() if once is None else once  # without a terminal nobody can press Ctrl-C
    raise typer.Exit(run(interrupts, once=once, as_json=as_json, port=port, data=data, to=to))


@app.command()
def serve(
    port: Annotated[int | None, typer.Option(help="HTTP port (default 8088; 0: a free one).")] = None,
    host: Annotated[str | None, typer.Option(help="Interface (default 127.0.0.1).")] = None,
    data: Annotated[str | None, typer.Option(help="Data directory (default ./tocsin-data).")] = None,
    simulate: Annotated[bool | None, typer.Option("--simulate", help="Simulated lines: no SIP at all.")] = None,
) -> None:
    """Run the whole service on this machine.

    api, dialer, courier, catch-all phone and an embedded Valkey.
    """
    from voice.cli.service import run_serve

    raise typer.Exit(run_serve({"http.port": port, "http.host": host, "data_dir": data, "simulate": simulate}))


@app.command()
def api(port: Annotated[int | None, typer.Option(help="HTTP port.")] = None) -> None:
    """Run one API process on TOCSIN_REDIS_URL."""
    from voice.cli.service import run_role

    raise typer.Exit(run_role("api", {"http.port": port}))


@app.command()
def dialer() -> None:
    """Run one dialer and its lines on TOCSIN_REDIS_URL."""
    from voice.cli.service import run_role

    raise typer.Exit(run_role("dialer", {}))


@app.command()
def courier() -> None:
    """Run one sender of webhooks on TOCSIN_REDIS_URL."""
    from voice.cli.service import run_role

    raise typer.Exit(run_role("courier", {}))


@app.command()
def phone() -> None:
    """Run the catch-all phone on TOCSIN_REDIS_URL.

    The dialers and it need the same TOCSIN_SANDBOX__SIP_PORT.
    """
    from voice.cli.service import run_role

    raise typer.Exit(run_role("phone", {}))


@app.command()
def call(
    to: Annotated[str, typer.Argument(metavar="TO", help="The number: +, 00 or bare international digits.")],
    say: Annotated[str, typer.Option(help="What to say.")],
    api_key: ApiKey,
    url: Url = DEFAULT_URL,
    language: Annotated[str | None, typer.Option(help="en-gb, fr, de …")] = None,
    gather: Annotated[
        int | None, typer.Option(min=1, max=20, help="Wait for so many key presses; exit 17 when none comes.")
    ] = None,
    keys: Annotated[str | None, typer.Option(help="Which keys count, as in 12 (default: any).")] = None,
    trunk: Annotated[
        str | None, typer.Option(help="A trunk of trunks.toml, by name; not set: the service picks.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the outcome; the exit code tells it.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Print each state as it happens.")] = False,
    timeout: Annotated[float, typer.Option(min=0.0, help="Seconds to wait with --wait or --follow.")] = 120.0,
    as_json: Json = False,
) -> None:
    """Place a call and say something.

    With --wait or --follow the exit code tells how it ended: 0 answered,
    10 busy, 11 no answer, 12 declined, 13 not in service, 14 trunk failure,
    15 no audio, 17 no key, 18 never dialled, 124 time is over. Ctrl-C hangs
    up, twice leaves the call alone.
    """
    from voice.cli.calls import Asked, run_call

    asked = Asked(to=to, say=say, language=language, gather=gather, keys=keys, trunk=trunk)
    raise typer.Exit(run_call(asked, url, api_key, wait=wait, follow=follow, timeout_s=timeout, as_json=as_json))


@app.command()
def say(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to say.")],
    output: Annotated[str, typer.Option("-o", "--output", help="The WAV to write; - is stdout.")] = "out.wav",
    language: Annotated[str, typer.Option(help="en-gb, fr, de …")] = "en-gb",
    voice: Annotated[str | None, typer.Option(help="A voice, as in flite:slt.")] = None,
    speed: Annotated[float, typer.Option(min=0.5, max=2.0, help="0.5 to 2.0.")] = 1.0,
    ssml: Annotated[bool, typer.Option("--ssml", help="The text is SSML.")] = False,
    as_json: Json = False,
) -> None:
    """Render a text to a WAV, exactly as a phone would hear it.

    Nothing is dialled.
    """
    from voice.cli.say import run_say

    raise typer.Exit(run_say(text, output, language=language, voice=voice, speed=speed, ssml=ssml, as_json=as_json))


@app.command()
def explain(
    code: Annotated[str, typer.Argument(metavar="CODE", help="486, OVER_LIMIT, worker_lost …, or a call_id.")],
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
    ticket: Annotated[
        bool, typer.Option("--ticket", help="A call: Markdown to paste into a ticket, with the SIP ladder.")
    ] = False,
    as_json: Json = False,
) -> None:
    """What a SIP code, cause or error means, or why a call ended.

    A code is explained without a service; a call_id asks the one that
    placed the call.
    """
    from voice.cli.explain import run_explain

    raise typer.Exit(run_explain(code, url, api_key, ticket=ticket, as_json=as_json))


@app.command()
def magic(as_json: Json = False) -> None:
    """The catch-all phone's magic numbers."""
    from voice.cli.lookup import run_magic

    raise typer.Exit(run_magic(as_json=as_json))


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check this machine; say how to mend what is wrong.

    Settings, voices, PJSIP, the store and what it promises, disk, trunks,
    ports, clock.
    """
    from voice.cli.doctor import run_doctor

    raise typer.Exit(run_doctor(as_json=as_json))


@app.command()
def readyz(
    url: Url = DEFAULT_URL,
    wait: Annotated[float, typer.Option(help="Keep asking for so many seconds.")] = 0.0,
) -> None:
    """Is the service ready? For a container's health check.

    Exit 0: yes. 1: no, and why. 7: nobody answers.
    """
    from voice.cli.service import run_readyz

    raise typer.Exit(run_readyz(url, wait))


@app.command()
def version(as_json: Json = False) -> None:
    """Versions of Tocsin, PJSIP and Python."""
    from voice.cli.service import run_version

    raise typer.Exit(run_version(as_json=as_json))


@keys.command("create")
def keys_create(
    live: Annotated[bool, typer.Option("--live", help="A key that dials real trunks (default: sandbox only).")] = False,
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    expires_days: Annotated[int, typer.Option(min=1, max=365, help="1 to 365.")] = 365,
    data: Annotated[str | None, typer.Option(help="Data directory of a running `tocsin serve`.")] = None,
    as_json: Json = False,
) -> None:
    """Make an API key; it is shown once."""
    from voice.cli.keys import run_create

    raise typer.Exit(run_create(live=live, name=name, expires_days=expires_days, data=data, as_json=as_json))


@keys.command("list")
def keys_list(
    data: Annotated[str | None, typer.Option(help="Data directory of a running `tocsin serve`.")] = None,
    as_json: Json = False,
) -> None:
    """The keys there are, without their secrets."""
    from voice.cli.keys import run_list

    raise typer.Exit(run_list(data=data, as_json=as_json))


@keys.command("revoke")
def keys_revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="As `tocsin keys list` shows it.")],
    data: Annotated[str | None, typer.Option(help="Data directory of a running `tocsin serve`.")] = None,
) -> None:
    """Make a key useless within a second."""
    from voice.cli.keys import run_revoke

    raise typer.Exit(run_revoke(key_id, data=data))


@keys.command("resume")
def keys_resume(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="As GET /v1/limits names it.")],
    data: Annotated[str | None, typer.Option(help="Data directory of a running `tocsin serve`.")] = None,
) -> None:
    """Let a key go on that a daily limit suspended."""
    from voice.cli.keys import run_resume

    raise typer.Exit(run_resume(key_id, data=data))


@chaos.command("set")
def chaos_set(
    faults: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME=VALUE…",
            help="busy=10% trunk_503=5% no_bye=5% wrong_codec=5% of the calls; loss=2% delay=2s of each; seed=7.",
        ),
    ],
    api_key: ApiKey,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Declare it, in place of what was declared before.

    Shares are exact in every 100 calls, in an order that only a seed
    tells. Magic numbers keep to their own script. Ends after a day.
    """
    from voice.cli.chaos import run_set

    raise typer.Exit(run_set(faults, url, api_key, as_json=as_json))


@chaos.command("get")
def chaos_get(api_key: ApiKey, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """What is declared."""
    from voice.cli.chaos import run_get

    raise typer.Exit(run_get(url, api_key, as_json=as_json))


@chaos.command("off")
def chaos_off(api_key: ApiKey, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Let calls go well again."""
    from voice.cli.chaos import run_off

    raise typer.Exit(run_off(url, api_key, as_json=as_json))


app.command()(plan)
app.command()(apply)


@config.command("check")
def config_check(
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="A settings file or a trunk file; not given: what serve reads.")
    ] = None,
) -> None:
    """Read everything that serve would read, and say what is wrong.

    Exit 0: nothing. 3: something, and where.
    """
    from voice.cli.settings import run_check

    raise typer.Exit(run_check(file))


@config.command("show")
def config_show(
    origin: Annotated[bool, typer.Option("--origin", help="Also where each value comes from.")] = False,
    as_json: Json = False,
) -> None:
    """Every setting and its value; secrets are hidden."""
    from voice.cli.settings import run_show

    raise typer.Exit(run_show(origin=origin, as_json=as_json))


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: those of `voice.explain.Exit`. Errors are one line on stderr, never a traceback."""
    try:
        result = app(arguments, prog_name="tocsin", standalone_mode=False)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the outermost frame: say it in one line and leave
        from voice.cli.leaving import leave

        return leave(error)
    return result if isinstance(result, int) else 0
