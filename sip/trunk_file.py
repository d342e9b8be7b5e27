"""The operator's trunk file, TOML in, Trunk values out: every mistake is named with file, table and key.

`[trunks.NAME]` takes the full form (the trunk object of the API) and a short form (host, username, password …); what
both can say is said once. `config/trunks.example.toml` shows every key; a test loads it.
"""

import functools
import logging
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from sip.trunk import Trunk
from sip.trunk_reading import Said, Surroundings, our_address_towards, read_trunk
from sip.trunk_section import Section, TrunkError

__all__ = ["TrunkError", "load_trunks", "read_trunks", "warn"]

log = logging.getLogger(__name__)

SECRET_MAX = 1024  # bytes of a password file


def load_trunks(path: Path, env: Mapping[str, str], *, facing: Callable[[str], str] | None = None) -> tuple[Trunk, ...]:
    """All trunks of the file, disabled ones too, in its order. Raises TrunkError; what is doubtful goes to the log."""
    found = read_trunks(path, env, facing=facing)
    warn(path, found)
    return tuple(said.trunk for said in found)


def warn(path: Path, found: Iterable[Said]) -> None:
    """What is doubtful, to the log."""
    for said in found:
        for warning in said.warnings:
            _warn(path, said.trunk.id, warning)


@functools.cache
def _warn(path: Path, trunk_id: str, warning: str) -> None:
    """Once, however often the file is read; processes forked from one that has said it keep quiet as well."""
    log.warning("trunk file %s [trunks.%s]: %s", path, trunk_id, warning)


def read_trunks(
    path: Path, env: Mapping[str, str], *, facing: Callable[[str], str] | None = None, for_elsewhere: bool = False
) -> tuple[Said, ...]:
    """As `load_trunks`, with what was said around each, and without the log.

    `env`: where `password = { env = "NAME" }` is looked up. `facing(host)`: the address of our interface towards a
    host, asked when a trunk has no `bind_address`. `for_elsewhere`: another machine will use the trunks, and judges
    for itself what is there: routes, and files of certificates.
    """
    around = Surroundings(
        secret=lambda section, key: _secret(section, key, env),
        facing=facing or (_anywhere if for_elsewhere else our_address_towards),
        files_are_here=not for_elsewhere,
    )
    return tuple(
        read_trunk(name, Section(path, f"trunks.{name}", values), around) for name, values in _read(path).items()
    )


def _anywhere(host: str) -> str:
    return "0.0.0.0"


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        document = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise TrunkError(path, "", "", f"cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # no UTF-8, no TOML, a number of 5000 digits, lists in lists in lists
        raise TrunkError(path, "", "", f"is not TOML: {error}") from error
    Section(path, "", document).only(("trunks",))
    found = document.get("trunks")
    if not isinstance(found, dict) or not all(isinstance(values, dict) for values in found.values()):
        raise TrunkError(path, "trunks", "", "no trunk here; write a table [trunks.NAME], or [trunks] alone for none")
    return found


def _secret(section: Section, key: str, env: Mapping[str, str]) -> str:
    """`{ file = … }`, `{ env = … }`, or `{ plain = … }`, which is warned of. A bare text is refused."""
    ref = section.values[key]
    if not isinstance(ref, dict) or len(ref) != 1 or not all(isinstance(value, str) for value in ref.values()):
        raise section.error(
            key, 'has to be { file = "/run/secrets/x" } or { env = "NAME" }: secrets stay out of this file'
        )
    inner = section.inner(key)
    inner.only(("file", "env", "plain"))
    ((kind, value),) = ref.items()
    secret: str
    if kind == "plain":
        secret = value
    elif kind == "env":
        secret = env.get(value, "")
    else:
        secret = _file(inner, (section.file or Path()).parent / value)
    if not secret or not secret.isprintable():
        raise inner.error(kind, "gives no password (empty, missing, or not one line of text)")
    return secret


def _file(section: Section, path: Path) -> str:
    try:
        with path.open("rb") as handle:
            return handle.read(SECRET_MAX).decode("utf-8").strip("\r\n")
    except OSError as error:
        raise section.error("file", f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise section.error("file", "is not text") from None
