"""Environment variables are read when asked, typed, and refused with their help when they make no sense."""

from __future__ import annotations

import pytest

from tiledsl import config


def test_a_variable_is_read_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TILEDSL_FUZZ", raising=False)
    assert config.fuzz() == 0
    monkeypatch.setenv("TILEDSL_FUZZ", "12")
    assert config.fuzz() == 12
    monkeypatch.setenv("TILEDSL_FUZZ", "")
    assert config.fuzz() == 0


def test_lists_and_switches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEDSL_SHOW", "blocks, dead")
    assert config.show() == ("blocks", "dead")
    for text, value in (("1", True), ("off", False)):
        monkeypatch.setenv("TILEDSL_VERIFY", text)
        assert config.verify() is value


def test_nonsense_is_answered_with_the_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEDSL_FUZZ", "many")
    with pytest.raises(ValueError, match="TILEDSL_FUZZ='many' is not understood"):
        config.fuzz()
    monkeypatch.setenv("TILEDSL_VERIFY", "perhaps")
    with pytest.raises(ValueError, match="TILEDSL_VERIFY"):
        config.verify()


def test_names_are_unique() -> None:
    names = [v.name for v in config.VARIABLES]
    assert len(set(names)) == len(names)
