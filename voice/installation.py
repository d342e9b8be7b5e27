"""The data directory, which only we may read, and the secrets that a new installation makes for itself in it."""

import contextlib
import os
import secrets
from pathlib import Path

from config.settings import Settings
from messaging.webhooks import new_secret

_PEPPER = "key.pepper"
_WEBHOOK = "webhook.secret"
_SECRET_KEY = "secret.key"


_FOLDERS = ("audio", "journal", "recordings", "sandbox", "valkey")


def keep_private(data_dir: Path) -> None:
    """From here on this process and its children write for their own user only: numbers, speech and keys lie there.

    `data_dir` itself keeps its mode when it was there before; the folders that are ours in it do not.
    """
    os.umask(0o077)
    for name in _FOLDERS:
        with contextlib.suppress(FileNotFoundError):
            (data_dir / name).chmod(0o700)


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


def secret_keys(settings: Settings) -> tuple[str, ...]:
    """What secrets at rest are sealed with: the first key seals, all of them open. Losing them loses the passwords."""
    if settings.secret_key is not None:
        return tuple(key.strip() for key in settings.secret_key.get_secret_value().split(","))
    return (_kept(settings.data_dir / _SECRET_KEY, secrets.token_hex(32)),)


def keep_secrets(settings: Settings) -> None:
    """Make what is missing, before several processes would each make their own."""
    pepper(settings)
    webhook_secret(settings)
    secret_keys(settings)


def _kept(path: Path, fresh: str) -> str:
    """The content of `path`, made with `fresh` when it is missing; whole or not there, whoever is killed when."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(fresh + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)  # unlike rename, never replaces what another process was quicker to make
        draft.unlink()
    return path.read_text(encoding="utf-8").strip()
