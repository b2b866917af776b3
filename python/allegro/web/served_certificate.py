"""The certificate that the page shows: one that was uploaded, else the device's own."""

import asyncio
import logging
import ssl
import tempfile
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from allegro.errors import InvalidInput, NotFound, Unavailable
from allegro.keeping import Absent, Unreadable, Value, trouble
from allegro.web import certificate, uploaded_certificate
from allegro.web.certificate import CertificateInfo
from allegro.web.own_addresses import Addresses

UPLOADED = "uploaded-certificate.pem"
"""Beside the device's own: certificate, chain and key. Release 0.1.0 leaves it alone, and shows its own."""

LOOK_EVERY_S = 60.0
"""The clock may jump years at its first synchronisation, and the device's name may change at any time."""

FIRST_LOOK_S = 5.0
"""So often as long as the addresses are not known: who trusts it should not have to do so twice."""

TOLD_BEFORE_END = timedelta(days=30)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trouble:
    """What is wrong with an uploaded one, and what to do about it. `severe`: browsers do not trust it."""

    severe: bool
    text: str
    remedy: str


class ServedCertificate:
    """The present one, for whoever shows it, and what greets connections with it.

    `file` holds the device's own certificate and key, `uploaded` (without it UPLOADED beside `file`) what
    somebody has uploaded, which the device never changes. Connections that are open keep the one that they
    began with. Methods may be called from several threads.
    """

    info: CertificateInfo
    public: bytes
    context: ssl.SSLContext
    uploaded: bool

    def __init__(self, file: Path, info: CertificateInfo, uploaded: Path | None = None) -> None:
        self._own = file
        self._own_info = info
        self._uploaded = certificate.kept(uploaded or file.with_name(UPLOADED))
        self._names: Sequence[str] = info.names
        self._wrong = ""
        self._lock = threading.Lock()
        self._show()

    def renew(self, host_name: str, addresses: Addresses | None = None) -> bool:
        """Makes another own one if it ends soon or lacks a name or address.

        Raises OSError if it cannot be read or kept.
        """
        known = addresses or Addresses()
        names = certificate.names_for(host_name, known.lasting)
        with self._lock:
            info = certificate.ensure(self._own, names, certificate.utc_now(), known.passing)
            self._names = names
            if info == self._own_info:
                return False
            self._own_info = info
            if not self.uploaded:
                self._show()
            return True

    def replace(self, pem: str) -> None:
        """Shows this certificate with its chain from now on, with the key that comes with it or the own one.

        Raises InvalidInput for one that cannot be used, Unavailable if it cannot be kept; nothing is changed
        then.
        """
        with self._lock:
            try:
                content = uploaded_certificate.judged(
                    pem, certificate.usable(self._own).read_bytes(), certificate.utc_now()
                )
                _try(content)
                self._uploaded.write(content)
            except OSError as error:
                raise Unavailable(
                    f"The certificate cannot be kept ({error.strerror}). Nothing was changed."
                ) from error
            self._show()

    def go_back(self) -> None:
        """Shows the device's own again, and forgets the uploaded one with its key.

        Raises NotFound if there is none, Unavailable if it cannot be removed.
        """
        with self._lock:
            if isinstance(self._uploaded.read(), Absent):
                raise NotFound("The page shows the certificate that the device has made itself.")
            try:
                self._uploaded.remove()
            except OSError as error:
                raise Unavailable(f"The certificate cannot be removed ({error.strerror}).") from error
            self._show()

    def request(self) -> str:
        """A request (PEM) to an authority, for the device's own key with its present names and addresses.

        Raises Unavailable if the key cannot be read.
        """
        try:
            return certificate.request(certificate.usable(self._own), self._names)
        except (OSError, ValueError) as error:
            raise Unavailable(f"The device's own key cannot be used ({error}).") from error

    def trouble(self) -> Trouble | None:
        """What is wrong with the uploaded one. The device's own is renewed in time."""
        if self._wrong:
            disk = "Restart the device; if this message stays, replace its disk."
            again = "Upload it again, or go back to the device's own (Administration)."
            return Trouble(not self.uploaded, self._wrong, disk if self.uploaded else again)
        left = self.info.ends - certificate.utc_now()
        if not self.uploaded or left > TOLD_BEFORE_END:
            return None
        severe = left <= timedelta()
        verb = "has ended on" if severe else "ends on"
        return Trouble(
            severe,
            f"The certificate that was uploaded for this page {verb} {self.info.ends:%Y-%m-%d}"
            + (": browsers warn of the page." if severe else "."),
            "Upload another one (Administration), or go back to the device's own.",
        )

    async def care(
        self, host_name: Callable[[], str], addresses: Callable[[], Awaitable[Addresses | None]]
    ) -> None:
        """Looks after the own one for ever. `addresses` answers None as long as they cannot be known."""
        failed = ""
        known: Addresses | None = None
        while True:
            await asyncio.sleep(FIRST_LOOK_S if known is None else LOOK_EVERY_S)
            known = await addresses() or known
            try:
                await run_in_threadpool(self.renew, host_name(), known)
                failed = ""
            except (OSError, ValueError) as error:
                if str(error) != failed:  # once, not each minute
                    log.error("The certificate cannot be renewed: %s", error)
                failed = str(error)

    def _show(self) -> None:
        """Takes up what is to be shown. A context of its own: one holds a certificate of each kind of key."""
        own = certificate.usable(self._own)
        file, info, self._wrong = self._chosen(own)
        try:
            context, public = certificate.tls(file), certificate.public_part(file)
        except OSError as error:  # of TLS, or of the disk
            if file == own:
                raise
            self._wrong = f"The certificate that was uploaded for this page cannot be used ({error})."
            file, info = own, self._own_info
            context, public = certificate.tls(file), certificate.public_part(file)
        self.context, self.public, self.info, self.uploaded = context, public, info, file != own
        log.info("Certificate SHA-256 %s%s", info.fingerprint, ", uploaded" if self.uploaded else "")

    def _chosen(self, own: Path) -> tuple[Path, CertificateInfo, str]:
        """File and content of what is to be shown, and what is wrong with an uploaded one."""
        wrong = trouble(self._uploaded.read())
        told = f"The certificate that was uploaded for this page {wrong}." if wrong else ""
        self._uploaded.mend()
        match self._uploaded.read():
            case Value(info, None):
                return self._uploaded.path, info, told
            case Value(info, _):
                return self._uploaded.copy, info, told
            case Unreadable() if not self._uploaded.path.parent.exists():  # that is told by whom it concerns
                return own, self._own_info, ""
            case _:
                return own, self._own_info, told


def _try(content: bytes) -> None:
    """Raises InvalidInput if TLS cannot use it, OSError if that cannot be tried."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        try:
            certificate.tls(Path(file.name))
        except ssl.SSLError as error:
            raise InvalidInput(
                f"TLS cannot use this certificate ({error.reason or error}). Nothing was changed.",
                place="pem",
            ) from error
