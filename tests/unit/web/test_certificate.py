import errno
import os
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from allegro import keeping
from allegro.web import certificate
from allegro.web.served_certificate import ServedCertificate

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NAMES = certificate.names_for("allegro-mm-1a2b")


def test_it_is_made_once_for_all_names(tmp_path: Path) -> None:
    file = tmp_path / "certificate.pem"
    made = certificate.ensure(file, NAMES, NOW)
    assert set(made.names) == {
        *("allegro", "allegro.local", "192.168.78.1", "allegro-mm-1a2b", "allegro-mm-1a2b.local")
    }
    assert file.stat().st_mode & 0o777 == 0o600
    assert certificate.ensure(file, NAMES, NOW + timedelta(days=300)) == made
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(file)
    assert b"PRIVATE" not in certificate.public_part(file)


@pytest.mark.parametrize("days", [338, 4000, -40])
def test_one_that_ends_is_replaced(tmp_path: Path, days: int) -> None:
    file = tmp_path / "certificate.pem"
    made = certificate.ensure(file, NAMES, NOW)
    assert certificate.ensure(file, NAMES, NOW + timedelta(days=days)).fingerprint != made.fingerprint


@pytest.mark.spec("W1")
def test_it_lasts_no_longer_than_browsers_accept_and_one_that_does_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "certificate.pem"
    made = certificate.ensure(file, NAMES, NOW)
    assert made.ends - made.begins <= timedelta(days=398)
    assert made.begins < NOW
    monkeypatch.setattr(certificate, "VALID", timedelta(days=3650))
    file.unlink()
    (tmp_path / ".certificate.pem.good").unlink()
    of_0_1_0 = certificate.ensure(file, NAMES, NOW)
    monkeypatch.undo()
    assert certificate.ensure(file, NAMES, NOW).fingerprint != of_0_1_0.fingerprint


@pytest.mark.spec("W1")
def test_it_is_renewed_while_the_program_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "certificate.pem"
    monkeypatch.setattr(certificate, "utc_now", lambda: NOW)
    served = ServedCertificate(file, certificate.ensure(file, NAMES, NOW))
    first = served.info

    def shown() -> bytes:
        client, server = ssl.MemoryBIO(), ssl.MemoryBIO()
        unchecked = ssl._create_unverified_context()
        asking = unchecked.wrap_bio(server, client, server_hostname="allegro")
        answering = served.context.wrap_bio(client, server, server_side=True)
        while True:
            try:
                asking.do_handshake()
                break
            except ssl.SSLWantReadError:
                with suppress(ssl.SSLWantReadError):
                    answering.do_handshake()
        return asking.getpeercert(binary_form=True) or b""

    before = shown()
    assert not served.renew("allegro-mm-1a2b")
    assert shown() == before
    monkeypatch.setattr(certificate, "utc_now", lambda: NOW + timedelta(days=340))
    assert served.renew("allegro-mm-1a2b")
    assert served.info.ends > first.ends
    assert shown() != before
    assert ssl.PEM_cert_to_DER_cert(served.public.decode()) == shown()
    assert served.renew("another-name")
    assert "another-name.local" in served.info.names


def test_one_without_the_present_name_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "certificate.pem"
    certificate.ensure(file, certificate.names_for("localhost"), NOW)
    assert "allegro-mm-1a2b" in certificate.ensure(file, NAMES, NOW).names


@pytest.mark.parametrize(
    "content", [b"", b"not a certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_damaged_one_is_replaced(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "certificate.pem"
    file.write_bytes(content)
    assert certificate.ensure(file, NAMES, NOW).names


@pytest.mark.spec("S2")
def test_a_damaged_one_gives_way_to_its_copy_and_one_that_cannot_be_read_stays(tmp_path: Path) -> None:
    file = tmp_path / "certificate.pem"
    first = certificate.ensure(file, NAMES, NOW)
    file.write_bytes(b"\x00")
    assert certificate.ensure(file, NAMES, NOW) == first
    file.unlink()
    file.mkdir()  # reading it fails, whoever asks
    assert certificate.ensure(file, NAMES, NOW) == first
    assert file.is_dir()
    (tmp_path / ".certificate.pem.good").unlink()
    with pytest.raises(OSError, match="Is a directory"):
        certificate.ensure(file, NAMES, NOW)


@pytest.mark.spec("S2")
@pytest.mark.parametrize(
    "content", [b"\x00", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", None]
)
def test_one_that_cannot_be_mended_is_shown_from_its_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    file = tmp_path / "certificate.pem"
    first = certificate.ensure(file, NAMES, NOW)
    file.unlink()
    if content is None:
        file.mkdir()  # reading it fails, whoever asks
    else:
        file.write_bytes(content)

    def read_only(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(keeping, "write_atomically", read_only)
    monkeypatch.setattr(certificate, "utc_now", lambda: NOW)
    assert certificate.ensure(file, NAMES, NOW) == first
    served = ServedCertificate(file, first)
    assert (served.uploaded, served.info) == (False, first)
    assert served.request().startswith("-----BEGIN CERTIFICATE REQUEST-----")
    assert served.trouble() is None
    with pytest.raises(OSError, match=r"Read-only|Is a directory"):
        certificate.ensure(file, NAMES, NOW + timedelta(days=390))


def test_a_key_that_does_not_fit_is_replaced(tmp_path: Path) -> None:
    one, two = tmp_path / "one.pem", tmp_path / "two.pem"
    certificate.ensure(one, NAMES, NOW)
    certificate.ensure(two, NAMES, NOW)
    key = two.read_bytes().partition(b"-----BEGIN PRIVATE KEY")
    one.write_bytes(certificate.public_part(one) + key[1] + key[2])
    (tmp_path / ".one.pem.good").unlink()
    old = certificate.public_part(one)
    certificate.ensure(one, NAMES, NOW)
    assert certificate.public_part(one) != old


@pytest.mark.spec("N1", "W10")
def test_the_longest_host_name_has_a_certificate(tmp_path: Path) -> None:
    """A common name holds 64 characters; with `.local` a host name may be longer."""
    names = certificate.names_for("a" * 63)
    assert set(names) <= set(certificate.ensure(tmp_path / "certificate.pem", names, NOW).names)
