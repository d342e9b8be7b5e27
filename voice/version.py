"""Which Tocsin this is, and which PJSIP its lines would load."""

import importlib.metadata
import tomllib
from functools import cache
from pathlib import Path


@cache
def tocsin_version() -> str:
    """Of the installed distribution, or of the checkout it runs from."""
    try:
        return importlib.metadata.version("tocsin")
    except importlib.metadata.PackageNotFoundError:
        pyproject = Path(__file__).parent.parent / "pyproject.toml"
        try:
            return str(tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["version"])
        except (OSError, KeyError, tomllib.TOMLDecodeError):
            return "unknown"


@cache
def pjsip_version() -> str | None:
    """Of the package, without loading the library (only line processes do that); None when there is none."""
    for package in ("pjsua2-python", "pjsua2"):
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None
