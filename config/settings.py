"""Settings: one frozen, typed tree. `TOCSIN_…` environment over TOML (`TOCSIN_CONFIG`) over defaults.

Nested members use two underscores: TOCSIN_HTTP__PORT=8088. Secrets may stand in a file: TOCSIN_…_FILE, or
`{ file = "/run/secrets/x" }` in TOML. `tocsin.example.toml` lists every member with its default; a test compares.
Unknown members are errors. Nothing reads settings at import: `load()` is called by the composition root.
"""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Http(Section):
    """The API's address and what it reads."""

    host: str = "127.0.0.1"  # interface the API listens on
    port: int = Field(default=8088, ge=0, le=65535)  # 0: any free port
    body_max_bytes: int = 256 * 1024  # larger request bodies are refused with 413
    header_max_bytes: int = 16 * 1024  # larger request headers are refused
    read_timeout_s: float = 30.0  # a request must have arrived whole within this
    docs: bool = True  # serve /docs and /openapi.json


class Store(Section):
    """The one shared state."""

    redis_url: str | None = None  # redis://, rediss:// or unix://; not set: an embedded Valkey in data_dir
    prefix: str = "tocsin:"  # in front of every key
    policy: Literal["always", "everysec", "trust"] = "always"  # what the server must promise before we are ready
    retention_days: int = 30  # calls, events, deliveries after they are final
    idempotency_hours: int = 24  # an Idempotency-Key is kept this long after its calls are final
    recording_hours: int = Field(default=24, ge=1)  # recordings, also those of the catch-all phone, go after this


class Account(Section):
    """The account that the bootstrap keys belong to."""

    id: str = "main"  # its name in keys and logs
    caller_ids: tuple[str, ...] = ()  # your numbers, international digits; not set: those of your trunks
    region: str | None = None  # two letters: national numbers are read as of this country
    callback_url: str | None = None  # the account's own webhook, told of every call that names no other
    callback_format: Literal["standard", "9bits"] = "9bits"  # of the account's own webhook
    events_url: str | None = None  # told of what happens to your trunks (trunk.*), always in the standard format


class Dial(Section):
    """Where live calls may go."""

    allow: tuple[str, ...] = ()  # countries (gb) and prefixes (4420), besides the countries of your caller ids


class Speech(Section):
    """Engines in the order they are asked."""

    engines: tuple[str, ...] = ("gtts", "flite", "espeak-ng")  # gtts is online and sends the text to a third party
    deadline_s: float = 10.0  # for a whole render by one engine
    text_max: int = 1000  # characters in one message
    cache_bytes: int = 1024 * 1024 * 1024  # disk budget of rendered audio
    media_max_bytes: int = 10 * 1024 * 1024  # of the file behind a media_url
    media_max_s: float = 600.0  # longest audio played
    media_deadline_s: float = 15.0  # for a whole download
    media_http: bool = False  # allow media_url by plain http
    level_dbfs: float = -20.0  # loudness every prompt is brought to


class Lines(Section):
    """Line processes."""

    most: int = Field(default=48, ge=1)  # concurrent calls per trunk on this host
    idle_s: float = 60.0  # an idle child beyond the first ends after this
    rtp_base: int = 30000  # first port of the range that line processes take their RTP ports from
    ring_timeout_s: int = 45  # unless the request says otherwise
    max_duration_s: int = 300  # of the answered call, unless the request says otherwise
    ladder: bool = True  # keep the SIP messages of each call


class Dialer(Section):
    lease_s: float = 15.0  # a call whose dialer is silent for this long is taken over
    drain_s: float = 60.0  # calls in progress may take this long to end when the service stops
    heard_pct: int = 80  # from here on a message counts as delivered
    valid_hours: int = 24  # a call still queued after this expires, unless the request says otherwise


class Webhooks(Section):
    secret: SecretStr | None = None  # whsec_…; not set: made once and kept in data_dir/webhook.secret
    guard: bool = True  # False: private and loopback targets allowed (closed networks)
    allow: tuple[str, ...] = ()  # CIDR blocks the guard lets through
    plain_http: bool = False  # allow http:// targets
    connect_s: float = 5.0  # to reach the receiver
    total_s: float = 15.0  # for one whole try
    schedule_s: tuple[float, ...] = (
        0,
        5,
        300,
        1800,
        7200,
        18000,
        36000,
        50400,
        72000,
        86400,
    )  # gaps between tries: 75 h
    jitter: float = 0.1  # of each gap, to both sides


class Sandbox(Section):
    enabled: bool = True  # run the catch-all phone
    sip_port: int = 0  # 0: a free one
    keep: int = 500  # recordings of what it heard


class Settings(Section):
    data_dir: Path = Path("tocsin-data")  # store, audio, recordings, journals
    api_keys: tuple[SecretStr, ...] = ()  # bootstrap keys, tk_test_… or tk_live_…; comma-separated in the environment
    key_pepper: SecretStr | None = None  # not set: made once and kept in data_dir/key.pepper
    secret_key: SecretStr | None = None  # seals stored passwords; not set: made once and kept in data_dir/secret.key
    trunks: Path | None = None  # trunks.toml, applied at each start; not set: trunks come from the API alone
    log_level: Literal["debug", "info", "warning", "error"] = "info"  # debug, info, warning or error
    simulate: bool = False  # simulated lines, no SIP at all
    http: Http = Http()
    store: Store = Store()
    account: Account = Account()
    dial: Dial = Dial()
    speech: Speech = Speech()
    lines: Lines = Lines()
    dialer: Dialer = Dialer()
    webhooks: Webhooks = Webhooks()
    sandbox: Sandbox = Sandbox()


class SettingsError(Exception):
    """A setting is wrong; the text names it and says what to do."""


def load(
    environ: Mapping[str, str], file: Path | None = None, overrides: Mapping[str, object] | None = None
) -> Settings:
    """The whole tree: `overrides` (dotted names, from flags) over the environment over the TOML file over defaults.

    `file` defaults to `$TOCSIN_CONFIG`. Raises SettingsError, in words, for anything wrong in any of them.
    """
    path = file or (Path(environ["TOCSIN_CONFIG"]) if environ.get("TOCSIN_CONFIG") else None)
    tree = _from_toml(path) if path else {}
    for name, value in _from_environment(environ).items():
        _plant(tree, name, value)
    for name, value in (overrides or {}).items():
        if value is not None:
            _plant(tree, name, value)
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise SettingsError(_in_words(error)) from None


# Short names that people type; everything else is TOCSIN_SECTION__NAME.
_ALIASES = {"redis_url": "store.redis_url", "webhook_secret": "webhooks.secret", "callback_url": "account.callback_url"}
# Of the process or the client, not of the tree.
_NOT_SETTINGS = {"config", "url", "api_key", "api_key_file", "profile", "listen_fd", "ready_fd", "parent_pid"}
_FILE_SUFFIX = "_file"


def _from_toml(path: Path) -> dict[str, Any]:
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read the settings file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from None
    return {name: _with_files(value) for name, value in tree.items()}


def _with_files(value: Any) -> Any:
    """`{ file = "/run/secrets/x" }` becomes the content of that file."""
    if isinstance(value, dict):
        if value.keys() == {"file"}:
            return _read_secret(value["file"])
        return {name: _with_files(inner) for name, inner in value.items()}
    return value


def _read_secret(path: object) -> str:
    try:
        return Path(str(path)).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"cannot read the secret file {path}: {error.strerror}") from None


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for variable, text in environ.items():
        dotted = _setting_in(variable)
        if dotted is not None:
            found[dotted] = _listed(dotted, _read_secret(text) if variable.lower().endswith(_FILE_SUFFIX) else text)
    return found


def _setting_in(variable: str) -> str | None:
    """The setting that a variable of the environment is for, dotted; None when it is for none."""
    if not variable.startswith("TOCSIN_"):
        return None
    name = variable.removeprefix("TOCSIN_").lower()
    if name in _NOT_SETTINGS:
        return None
    name = name.removesuffix(_FILE_SUFFIX)
    return _ALIASES.get(name, name.replace("__", "."))


def origins(environ: Mapping[str, str], file: Path | None = None) -> dict[str, str]:
    """Every setting by its dotted name, and where its value comes from: a variable, the file's path, or "default".

    Raises SettingsError, as `load`.
    """
    path = file or (Path(environ["TOCSIN_CONFIG"]) if environ.get("TOCSIN_CONFIG") else None)
    found = dict.fromkeys(_leaves(Settings), "default")
    if path is not None:
        tree = _from_toml(path)
        found |= {name: str(path) for name in found if _stands_in(tree, name.split("."))}
    for variable in environ:
        if (dotted := _setting_in(variable)) in found:
            found[str(dotted)] = variable
    return found


def _leaves(section: type[BaseModel], before: str = "") -> list[str]:
    sections = {
        f"{name}." for name in _names(section) if any(other.startswith(f"{name}.") for other in _names(section))
    }
    return [before + name for name in _names(section) if f"{name}." not in sections]


def _stands_in(tree: Any, path: list[str]) -> bool:
    for part in path:
        if not isinstance(tree, dict) or part not in tree:
            return False
        tree = tree[part]
    return True


def _listed(dotted: str, value: Any) -> Any:
    """Tuples are comma-separated in the environment."""
    field: Any = Settings
    for part in dotted.split("."):
        info = getattr(field, "model_fields", {}).get(part)
        if info is None:
            return value  # unknown: validation names it
        field = info.annotation
    is_tuple = getattr(field, "__origin__", None) is tuple
    return tuple(part.strip() for part in value.split(",") if part.strip()) if is_tuple else value


def _plant(tree: dict[str, Any], dotted: str, value: object) -> None:
    *parents, last = dotted.split(".")
    for part in parents:
        tree = tree.setdefault(part, {})
    tree[last] = value


def _in_words(error: ValidationError) -> str:
    lines = []
    for one in error.errors():
        name = ".".join(str(part) for part in one["loc"])
        if one["type"] == "extra_forbidden":
            near = difflib.get_close_matches(name, _names(Settings), n=1)
            lines.append(f"unknown setting {name}" + (f" (did you mean {near[0]}?)" if near else ""))
        else:
            lines.append(f"{name}: {one['msg'].lower()}")
    return "; ".join(lines)


def _names(section: type[BaseModel], before: str = "") -> list[str]:
    names: list[str] = []
    for name, info in section.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            names += _names(kind, f"{before}{name}.")
        names.append(before + name)
    return names
