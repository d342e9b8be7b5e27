"""Settings: one frozen, typed tree. `TOCSIN_…` environment over TOML (`TOCSIN_CONFIG`) over defaults.

Nested members use two underscores: TOCSIN_HTTP__PORT=8088. Secrets may stand in a file: TOCSIN_…_FILE, or
`{ file = "/run/secrets/x" }` in TOML. `tocsin.example.toml` lists every member with its default; a test compares.
Unknown members are errors. Nothing reads settings at import: `load()` is called by the composition root.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Http(Section):
    """The API's address and what it reads."""

    host: str = "127.0.0.1"
    port: int = Field(default=8088, ge=0, le=65535)
    body_max_bytes: int = 256 * 1024  # R16
    header_max_bytes: int = 16 * 1024
    read_timeout_s: float = 30.0
    docs: bool = True  # /docs and /openapi.json


class Store(Section):
    """The one shared state."""

    redis_url: str | None = None  # None: an embedded Valkey in data_dir
    prefix: str = "tocsin:"
    policy: Literal["always", "everysec", "trust"] = "always"  # what the server must promise before we are ready
    retention_days: int = 30  # calls, events, deliveries after they are final
    idempotency_hours: int = 24


class Account(Section):
    """The account that the bootstrap keys belong to."""

    id: str = "main"
    caller_ids: tuple[str, ...] = ("12025550199",)  # international digits; must be yours on a real trunk
    region: str | None = None  # two letters: national numbers are read as of this country
    callback_url: str | None = None  # the account's own webhook; 9bits format
    callback_format: Literal["standard", "9bits"] = "9bits"


class Speech(Section):
    """Engines in the order they are asked."""

    engines: tuple[str, ...] = ("gtts", "flite", "espeak-ng")
    deadline_s: float = 10.0  # whole render by one engine
    text_max: int = 1000  # characters
    cache_bytes: int = 1024 * 1024 * 1024
    media_max_bytes: int = 10 * 1024 * 1024
    media_max_s: float = 600.0
    media_deadline_s: float = 15.0
    media_http: bool = False  # media_url by plain http too
    level_dbfs: float = -20.0


class Lines(Section):
    """Line processes."""

    most: int = Field(default=48, ge=1)  # concurrent calls over all trunks on this host
    idle_s: float = 60.0  # an idle child beyond the first ends after this
    rtp_base: int = 30000
    ring_timeout_s: int = 45
    max_duration_s: int = 300
    ladder: bool = True  # keep the SIP messages of each call


class Dialer(Section):
    lease_s: float = 15.0
    drain_s: float = 60.0
    heard_pct: int = 80  # from here on a message counts as delivered
    valid_hours: int = 24  # a call still queued after this expires, unless the request says otherwise


class Webhooks(Section):
    secret: SecretStr | None = None  # whsec_…; None: made once and kept in data_dir/webhook.secret
    guard: bool = True  # False: private and loopback targets allowed (closed networks)
    allow: tuple[str, ...] = ()  # CIDR blocks the guard lets through
    plain_http: bool = False  # http:// targets
    connect_s: float = 5.0
    total_s: float = 15.0
    schedule_s: tuple[float, ...] = (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
    jitter: float = 0.1


class Sandbox(Section):
    enabled: bool = True
    sip_port: int = 0  # 0: a free one
    keep: int = 500  # recordings


class Settings(Section):
    data_dir: Path = Path("tocsin-data")
    api_keys: tuple[SecretStr, ...] = ()  # bootstrap keys, tk_test_… or tk_live_…; comma-separated in the environment
    key_pepper: SecretStr | None = None  # None: made once and kept in data_dir/key.pepper
    trunks: Path | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    simulate: bool = False  # simulated lines: no SIP at all
    http: Http = Http()
    store: Store = Store()
    account: Account = Account()
    speech: Speech = Speech()
    lines: Lines = Lines()
    dialer: Dialer = Dialer()
    webhooks: Webhooks = Webhooks()
    sandbox: Sandbox = Sandbox()


class SettingsError(Exception):
    """A setting is wrong; the text names it and says what to do."""
