"""The certificate that the page shows, renewed while the program runs."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from allegro.web import certificate
from allegro.web.certificate import CertificateInfo

LOOK_EVERY_S = 60.0
"""The clock may jump years at its first synchronisation, and the device's name may change at any time."""

log = logging.getLogger(__name__)


class ServedCertificate:
    """The present one, for whoever shows it, and what greets connections with it.

    `file` holds certificate and key. Connections that are open keep the one that they began with.
    """

    def __init__(self, file: Path, info: CertificateInfo) -> None:
        self._file = file
        self.info = info
        self.public = certificate.public_part(file)
        self.context = certificate.tls(file)

    def renew(self, host_name: str) -> bool:
        """Makes another one if it ends soon or lacks a name. Raises OSError if it cannot be read or kept."""
        info = certificate.ensure(self._file, certificate.names_for(host_name), certificate.utc_now())
        if info == self.info:
            return False
        self.context.load_cert_chain(self._file)
        self.public = certificate.public_part(self._file)
        self.info = info
        log.info("Certificate SHA-256 %s", info.fingerprint)
        return True

    async def care(self, host_name: Callable[[], str]) -> None:
        """Looks after it for ever."""
        failed = ""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await run_in_threadpool(self.renew, host_name())
                failed = ""
            except (OSError, ssl.SSLError) as error:
                if str(error) != failed:  # once, not each minute
                    log.error("The certificate cannot be renewed: %s", error)
                failed = str(error)
