"""Settings: three sources in order, errors in words, and an example file that cannot drift from the code."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

from config.settings import Section, Settings, SettingsError, _names, load, origins

EXAMPLE = Path(__file__).parents[3] / "config" / "tocsin.example.toml"


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tocsin.toml"
    file.write_text('log_level = "debug"\n[http]\nport = 1\nhost = "127.0.0.2"\n[lines]\nmost = 7\n')

    settings = load(
        {"TOCSIN_CONFIG": str(file), "TOCSIN_HTTP__PORT": "2"}, overrides={"lines.most": 9, "http.host": None}
    )

    assert (settings.http.port, settings.http.host, settings.lines.most) == (2, "127.0.0.2", 9)
    assert settings.log_level == "debug"


def test_bootstrap_keys_are_comma_separated_and_never_printed() -> None:
    settings = load({"TOCSIN_API_KEYS": "tk_test_first, tk_live_second"})

    assert [key.get_secret_value() for key in settings.api_keys] == ["tk_test_first", "tk_live_second"]
    assert "first" not in repr(settings)


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("whsec_abc\n")
    (tmp_path / "tocsin.toml").write_text(f'[webhooks]\nsecret = {{ file = "{tmp_path}/secret" }}\n')

    from_environment = load({"TOCSIN_WEBHOOKS__SECRET_FILE": f"{tmp_path}/secret"})
    from_file = load({}, file=tmp_path / "tocsin.toml")

    assert from_environment.webhooks.secret == from_file.webhooks.secret == SecretStr("whsec_abc")


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"TOCSIN_HTTP__PROT": "1"}, r"unknown setting http\.prot \(did you mean http\.port\?\)"),
        ({"TOCSIN_HTTP__PORT": "many"}, r"http\.port: .*integer"),
        ({"TOCSIN_HTTP__PORT": "65536"}, r"http\.port: .*65535"),
        ({"TOCSIN_CONFIG": "/does/not/exist.toml"}, r"cannot read the settings file /does/not/exist\.toml"),
        ({"TOCSIN_WEBHOOK_SECRET_FILE": "/does/not/exist"}, r"cannot read the secret file /does/not/exist"),
        ({"TOCSIN_STORE__POLICY": "never"}, r"store\.policy: .*always"),
    ],
)
def test_a_wrong_setting_is_named(environ: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load(environ)


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "tocsin.toml").write_text("[http\n")

    with pytest.raises(SettingsError, match=r"tocsin\.toml is not valid TOML"):
        load({}, file=tmp_path / "tocsin.toml")


def test_the_example_file_lists_every_setting_with_its_default() -> None:
    text = EXAMPLE.read_text()
    uncommented = re.sub(r"^#(\w+ = )", r"\1", text, flags=re.MULTILINE)
    unset = set(re.findall(r"^#(\w+) = .*# not set$", text, flags=re.MULTILINE))
    example = tomllib.loads(uncommented)

    assert _flat(example, unset) == _flat(_defaults(Settings), unset)


def test_the_example_file_changes_nothing_as_it_stands() -> None:
    assert load({}, file=EXAMPLE) == Settings()


def _defaults(section: type[BaseModel]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, info in section.model_fields.items():
        kind = info.annotation
        is_section = isinstance(kind, type) and issubclass(kind, Section)
        found[name] = _defaults(kind) if is_section else info.default  # type: ignore[arg-type]  # narrowed by is_section
    return found


def _flat(tree: dict[str, object], unset: set[str], before: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, unset, f"{before}{name}.")
        elif name in unset:
            flat[before + name] = None
        else:
            flat[before + name] = (
                list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
            )
    return flat


def read_somewhere() -> set[str]:
    """Names of attributes that the product reads, settings.py left out."""
    root = EXAMPLE.parents[1]
    files = [path for package in ("voice", "sip", "media", "messaging") for path in (root / package).rglob("*.py")]
    trees = (ast.parse(path.read_text()) for path in files)
    return {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def test_every_setting_is_read_by_somebody() -> None:
    named = {name.rpartition(".")[2] for name in _names(Settings)}

    assert named - read_somewhere() == set()


def test_each_value_says_where_it_comes_from(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("k" * 32)
    file = tmp_path / "tocsin.toml"
    file.write_text('log_level = "debug"\n[http]\nport = 1\nhost = "::1"\n')

    found = origins(
        {
            "TOCSIN_CONFIG": str(file),
            "TOCSIN_HTTP__PORT": "2",
            "TOCSIN_REDIS_URL": "redis://x",
            "TOCSIN_SECRET_KEY_FILE": str(tmp_path / "secret"),
            "TOCSIN_URL": "http://x",
            "PATH": "/bin",
        }
    )

    assert (found["http.port"], found["http.host"], found["http.docs"]) == ("TOCSIN_HTTP__PORT", str(file), "default")
    assert (found["log_level"], found["store.redis_url"]) == (str(file), "TOCSIN_REDIS_URL")
    assert found["secret_key"] == "TOCSIN_SECRET_KEY_FILE"
    assert not {"http", "url", "config"} & found.keys()
