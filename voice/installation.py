"""The two secrets a new installation makes for itself, kept in files of the data directory that only we may read."""

import contextlib
import os
import secrets
from pathlib import Path

from config.settings import Settings
from messaging.webhooks import new_secret

_PEPPER = "key.pepper"
_WEBHOOK = "webhook.secret"


def pepper(settings: Settings) -> bytes:
    """What API keys are hashed with. Losing it makes every stored key useless."""
    if settings.key_pepper is not None:
        return settings.key_pepper.get_secret_value().encode()
    return _kept(settings.data_dir / _PEPPER, secrets.token_hex(32)).encode()


def webhook_secret(settings: Settings) -> str:
    """What webhooks are signed with."""
    if settings.webhooks.secret is not None:
        return settings.webhooks.secret.get_secret_value()
    return _kept(settings.data_dir / _WEBHOOK, new_secret())


def keep_secrets(settings: Settings) -> None:
    """Make what is missing, before several processes would each make their own."""
    pepper(settings)
    webhook_secret(settings)


def _kept(path: Path, fresh: str) -> str:
    """The content of `path`, made with `fresh` when it is missing; whole or not there, whoever is killed when."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(fresh + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)  # unlike rename, never replaces what another process was quicker to make
        draft.unlink()
    return path.read_text(encoding="utf-8").strip()
