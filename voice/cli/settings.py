"""`tocsin config check` and `config show`: what the service would read, and where each value comes from."""

import json
import os
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from config.settings import Settings, SettingsError, load, origins
from sip.trunk_file import TrunkError, read_trunks
from voice.explain import Exit
from voice.preflight import place

_HIDDEN = "********"


def run_check(file: str | None) -> int:
    """Raises SettingsError, which names what is wrong."""
    path = Path(file) if file else None
    if path is not None and _is_trunk_file(path):
        _check_trunks(path)
        return Exit.OK
    settings = load(os.environ, file=path)
    from voice.processes import check  # loads most of the service

    read = f"{path or os.environ.get('TOCSIN_CONFIG') or 'no settings file'} and the environment"
    with tempfile.TemporaryDirectory(prefix="tocsin-check-") as folder:  # secrets that would be made are not made yet
        check(settings.model_copy(update={"data_dir": Path(folder)}), os.environ, dials=False)
    print(f"{read}: good")
    if settings.trunks is not None:
        _check_trunks(settings.trunks)
    return Exit.OK


def run_show(*, origin: bool, as_json: bool) -> int:
    settings = load(os.environ)
    rows = [(name, _shown(settings, name), where) for name, where in origins(os.environ).items()]
    if as_json:
        print(json.dumps([dict(zip(("name", "value", "origin"), row, strict=True)) for row in rows]))
        return Exit.OK
    width = max(len(name) for name, _, _ in rows)
    for name, value, where in rows:
        told = json.dumps(value, ensure_ascii=False)
        print(f"{name:<{width}}  {told:<40}  {where}".rstrip() if origin else f"{name:<{width}}  {told}")
    return Exit.OK


def _is_trunk_file(path: Path) -> bool:
    """A settings file has the path of one where a trunk file has its table."""
    try:
        document = tomllib.loads(path.read_bytes().decode("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return False  # whoever reads it as settings says what is wrong
    return isinstance(document.get("trunks"), dict)


def _check_trunks(path: Path) -> None:
    try:
        found = read_trunks(path, os.environ)
    except TrunkError as error:
        raise SettingsError(str(error)) from None
    print(f"{path}: good, {len(found)} trunk{'' if len(found) == 1 else 's'}")
    for said in found:
        for warning in said.warnings:
            print(f"! {said.trunk.id}: {warning}")


def _shown(settings: Settings, name: str) -> Any:
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    if name == "store.redis_url" and value is not None:
        return place(value)  # it may carry a password
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return _HIDDEN
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value
