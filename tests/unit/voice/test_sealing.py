"""Secrets at rest: only the key opens them, only where they belong, and a change is noticed."""

import pytest

from voice.sealing import CannotOpen, Sealer

KEY, OTHER = "k" * 32, "o" * 32


def test_what_was_sealed_opens_with_its_key_and_nothing_else() -> None:
    sealed = Sealer([KEY]).seal("pässword", "lagos-1")

    assert "pässword" not in sealed
    assert Sealer([KEY]).open(sealed, "lagos-1") == "pässword"
    assert Sealer([OTHER, KEY]).open(sealed, "lagos-1") == "pässword"
    with pytest.raises(CannotOpen, match=Sealer([KEY]).key_id):
        Sealer([OTHER]).open(sealed, "lagos-1")
    with pytest.raises(CannotOpen, match="something else"):
        Sealer([KEY]).open(sealed, "lagos-2")


def test_the_same_secret_never_looks_the_same() -> None:
    sealer = Sealer([KEY])

    assert sealer.seal("x", "a") != sealer.seal("x", "a")


@pytest.mark.parametrize("at", range(12, 60, 7))
def test_a_changed_character_is_noticed(at: int) -> None:
    sealer = Sealer([KEY])
    sealed = sealer.seal("a password of some length", "a")

    with pytest.raises(CannotOpen):
        sealer.open(sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1 :], "a")


@pytest.mark.parametrize("sealed", ["", "s1", "s1..", "s2.x.y", "password", "s1.{key}.???", "s1.{key}."])
def test_what_is_not_sealed_does_not_open(sealed: str) -> None:
    sealer = Sealer([KEY])

    with pytest.raises(CannotOpen):
        sealer.open(sealed.format(key=sealer.key_id), "a")


def test_the_first_key_seals_and_old_seals_are_told_apart() -> None:
    old, both = Sealer([OTHER]).seal("x", "a"), Sealer([KEY, OTHER])

    assert (both.is_current(old), both.is_current(both.seal("x", "a"))) == (False, True)


@pytest.mark.parametrize("keys", [[], ["short"], [KEY, "short"]])
def test_a_short_key_is_refused(keys: list[str]) -> None:
    with pytest.raises(ValueError, match="32 characters"):
        Sealer(keys)
