from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from allegro.capture import config
from allegro.capture.config import RecorderConfig
from allegro.capture.port_rules import KEEP_ALL, PortRules
from allegro.errors import InvalidInput

GOOD: dict[str, Any] = {
    "ring_directory": "/data/ring",
    "ring_size": 1 << 30,
    "status_file": "/run/status.json",
}


def load(tmp_path: Path, value: object) -> RecorderConfig:
    path = tmp_path / "recorder.json"
    path.write_text(json.dumps(value))
    return config.load(path)


def test_what_is_dumped_is_loaded(tmp_path: Path) -> None:
    rules = PortRules("1. a: keep whole all packets", (KEEP_ALL,), {"port1": 0})
    wanted = RecorderConfig(
        Path("/a"), 5 << 30, Path("/b"), "eth[0-9]", 1 << 17, 8, 50, rules, Path("/m"), 1 << 26
    )
    config.dump(wanted, tmp_path / "recorder.json")
    assert config.load(tmp_path / "recorder.json") == wanted


def test_defaults_and_unknown_keys(tmp_path: Path) -> None:
    loaded = load(tmp_path, {**GOOD, "future": True})
    assert (loaded.port_pattern, loaded.block_size, loaded.blocks_per_port) == ("port[0-9]+", 1 << 20, 0)
    assert loaded.memory_directory is None
    config.dump(loaded, tmp_path / "recorder.json")
    assert config.load(tmp_path / "recorder.json") == loaded


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"ring_size": -1}, "ring_size"),
        ({"ring_size": "1G"}, "ring_size"),
        ({"ring_size": True}, "ring_size"),
        ({"ring_directory": ""}, "ring_directory"),
        ({"status_file": None}, "status_file"),
        ({"port_pattern": "port["}, "port_pattern"),
        ({"block_size": 100_000}, "block_size"),
        ({"blocks_per_port": 1}, "blocks_per_port"),
        ({"retire_ms": 0}, "retire_ms"),
        ({"rules": None}, "rules"),
        ({"memory_directory": ""}, "memory_directory"),
        ({"memory_size": -1}, "memory_size"),
        ({"rules": {"text": "x", "programs": []}}, "rules"),
        ({"rules": {"text": "x", "programs": ["zz"], "ports": {}}}, "rules"),
        ({"rules": {"text": "x", "programs": ["0600"], "ports": {}}}, "rules"),
        ({"rules": {"text": "x", "programs": [""], "ports": {"port1": 0}}}, "rules"),
        ({"rules": {"text": "x", "programs": [], "ports": {"port1": 0}}}, "rules"),
        ({"rules": {"text": 1, "programs": [], "ports": {}}}, "rules"),
    ],
)
def test_wrong_values_are_named(tmp_path: Path, change: dict[str, Any], place: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load(tmp_path, {**GOOD, **change})
    assert caught.value.place == place


@pytest.mark.parametrize("missing", list(GOOD))
def test_missing_values_are_named(tmp_path: Path, missing: str) -> None:
    with pytest.raises(InvalidInput, match="missing") as caught:
        load(tmp_path, {key: value for key, value in GOOD.items() if key != missing})
    assert caught.value.place == missing


@pytest.mark.parametrize("content", ["", "{", "[]", "5"])
def test_a_file_that_is_no_object(tmp_path: Path, content: str) -> None:
    path = tmp_path / "recorder.json"
    path.write_text(content)
    with pytest.raises(InvalidInput, match=r"JSON"):
        config.load(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        config.load(tmp_path / "recorder.json")
