"""The index of an update server: one file, signed as the bundles are (CMS, RFC 5652).

An update server is any directory that is served by HTTPS; no program runs there. The signed content is JSON:
{"format": 1, "compatible": …, "created": …, "versions": […]}, a version being {"version", "file", "size",
"sha256", "date", "notes"}.
"""

import calendar
import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from time import strptime
from typing import Any

from allegro.errors import InvalidInput, Unavailable
from allegro.firmware.bundles import FILE_NAME, LARGEST_NOTES
from allegro.firmware.versions import Version

NAME = "index.cms"
FORMAT = 1
LARGEST = 4 << 20  # bytes
MOST_VERSIONS = 500
_VERIFY_S = 30.0

_SHA256 = re.compile(r"[0-9a-f]{64}")
# As `openssl cms -print` writes the signed attribute of this name.
_SIGNING_TIME = re.compile(
    r"^ *object: signingTime \(1\.2\.840\.113549\.1\.9\.5\)\n *set:\n *(?:UTC|GENERALIZED)TIME:(.+) GMT$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Offer:
    """One version on the server; `size` in bytes, `date` in ISO 8601."""

    version: str
    file: str
    size: int
    sha256: str
    date: str
    notes: str


@dataclass(frozen=True)
class Index:
    """What the server offers to devices of the kind `compatible`; the newest version first."""

    compatible: str
    created: str
    offers: tuple[Offer, ...]

    def offer(self, version: str) -> Offer | None:
        """The offer of this version."""
        return next((each for each in self.offers if each.version == version), None)


def verified(
    signed: bytes, authority: Path, purpose: str = "", *, what: str = "The index of the update server"
) -> bytes:
    """The content of a signed message, if a certificate of `authority` (PEM) signed it.

    The certificates count as of the moment of signing (RFC 5652, 11.3), as RAUC judges bundles with
    use-bundle-signing-time: a device without a clock can be updated, and what was signed in time stays good.
    `purpose` as RAUC's check-purpose; without one as RAUC's and OpenSSL's default, e-mail signing.
    Raises InvalidInput if it is not signed so, Unavailable if that cannot be checked.
    """
    printed = _cms(["-cmsout", "-print", "-noout"], signed).stdout.decode(errors="replace")
    try:
        (time_text,) = _SIGNING_TIME.findall(printed)  # two would leave open which of them is the signer's
        time = calendar.timegm(strptime(time_text, "%b %d %H:%M:%S %Y"))
    except ValueError:
        raise _refused(what, "it is damaged or not signed") from None
    # Only this authority counts, not those that browsers trust.
    options = ["-verify", "-binary", "-CAfile", str(authority), "-no-CApath", "-no-CAstore"]
    done = _cms([*options, "-attime", str(time), *(["-purpose", purpose] if purpose else [])], signed)
    if done.returncode:
        words = done.stderr.decode(errors="replace").lower()
        if "expired" in words:
            reason = "the certificate that it was signed with had expired by then"
        elif "not yet valid" in words:
            reason = "the certificate that it was signed with was not valid yet then"
        elif "certificate" in words:
            reason = "it is signed with a key that this device does not trust"
        else:
            reason = "it is damaged or not signed"
        raise _refused(what, reason)
    return done.stdout


def _cms(options: list[str], signed: bytes) -> subprocess.CompletedProcess[bytes]:
    command = ["openssl", "cms", "-inform", "DER", *options]
    try:
        return subprocess.run(command, input=signed, capture_output=True, timeout=_VERIFY_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"The signature of the index cannot be checked ({error}).") from error


def _refused(what: str, reason: str) -> InvalidInput:
    return InvalidInput(
        f"{what} is refused: {reason}.", place="firmware.server", remedy="Ask who runs the update server."
    )


def parsed(content: bytes) -> Index:
    """The index of its JSON text, without offers that make no sense. Raises InvalidInput."""
    try:
        raw = json.loads(content)
        if raw["format"] != FORMAT:
            raise InvalidInput(
                f"The index of the update server has the format {raw['format']}, which is not known here.",
                place="firmware.server",
            )
        offers = [_offer(each) for each in raw["versions"][:MOST_VERSIONS]]
        good = [each for each in offers if each is not None]
        good.sort(key=lambda offer: Version.parse(offer.version), reverse=True)
        return Index(str(raw["compatible"]), str(raw["created"]), tuple(good))
    except (ValueError, KeyError, TypeError):
        raise InvalidInput(
            "The index of the update server cannot be understood.", place="firmware.server"
        ) from None


def _offer(raw: Any) -> Offer | None:
    try:
        offer = Offer(
            version=str(raw["version"]),
            file=str(raw["file"]),
            size=int(raw["size"]),
            sha256=str(raw["sha256"]),
            date=str(raw.get("date", "")),
            notes=str(raw.get("notes", ""))[:LARGEST_NOTES],
        )
        Version.parse(offer.version)
    except (KeyError, TypeError, ValueError, AttributeError, InvalidInput):
        return None
    usable = FILE_NAME.fullmatch(offer.file) and _SHA256.fullmatch(offer.sha256) and offer.size > 0
    return offer if usable else None
