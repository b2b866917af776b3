"""Which certificate authority this device takes firmware from: the one that RAUC is configured with."""

import configparser
from dataclasses import dataclass
from pathlib import Path

from allegro.errors import Unavailable

RAUC_CONFIGURATION = Path("/etc/rauc/system.conf")


@dataclass(frozen=True)
class Authority:
    """`compatible`: kind of device; `keyring`: PEM file; `purpose`: RAUC's check-purpose, may be empty."""

    compatible: str
    keyring: Path
    purpose: str


def read_authority(configuration: Path = RAUC_CONFIGURATION) -> Authority:
    """Raises Unavailable if this system has no RAUC, or none that makes sense."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        with configuration.open(encoding="utf-8") as file:
            parser.read_file(file)
        return Authority(
            compatible=parser["system"]["compatible"],
            keyring=configuration.parent / parser["keyring"]["path"],
            purpose=parser["keyring"].get("check-purpose", ""),
        )
    except (OSError, configparser.Error, KeyError, UnicodeDecodeError) as error:
        raise Unavailable("This system cannot be updated: it has no slots for firmware.") from error
