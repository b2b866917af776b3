"""Certificates that somebody uploads: taken as they are, or refused with the reason and nothing changed."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from allegro.errors import InvalidInput, NotFound, Unavailable
from allegro.web import certificate, uploaded_certificate
from allegro.web.own_addresses import Addresses
from allegro.web.served_certificate import UPLOADED, ServedCertificate
from tests.unit.web.test_accounts import basic, call
from tests.unit.web.world import World

pytestmark = pytest.mark.spec("W10")

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


def pem(key: Any) -> str:
    content: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return content.decode()


class Authority:
    """Signs what it is told to."""

    def __init__(self, name: str, by: "Authority | None" = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.pem = (by or self).issue(self.key.public_key(), name, names=())

    def issue(
        self,
        key: Any,
        name: str = "page",
        *,
        names: tuple[str, ...] = ("page.example",),
        days: tuple[int, int] = (-1, 90),
        usage: Any = None,
        alternatives: tuple[x509.GeneralName, ...] | None = None,
    ) -> str:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + days[0] * DAY)
            .not_valid_after(NOW + days[1] * DAY)
        )
        if names or alternatives is not None:
            listed = alternatives if alternatives is not None else map(x509.DNSName, names)
            alternative = x509.SubjectAlternativeName(listed)
            builder = builder.add_extension(alternative, critical=False)
        if usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


ROOT = Authority("root")
MIDDLE = Authority("middle", ROOT)
KEY = ec.generate_private_key(ec.SECP256R1())
OWN = ec.generate_private_key(ec.SECP256R1())
LEAF = MIDDLE.issue(KEY.public_key())


def of(key: Any, **options: Any) -> str:
    """A certificate for this key, and the key."""
    return MIDDLE.issue(key.public_key(), **options) + pem(key)


def test_a_chain_comes_in_order_however_it_was_sent() -> None:
    expected = (LEAF + MIDDLE.pem + ROOT.pem + pem(KEY)).encode()
    sent = "Bag Attributes\n" + ROOT.pem + pem(KEY) + MIDDLE.pem.replace("\n", "\r\n") + LEAF + LEAF
    assert uploaded_certificate.judged(sent, pem(OWN).encode(), NOW) == expected


def test_without_a_key_it_is_for_the_devices_own() -> None:
    mine = MIDDLE.issue(OWN.public_key())
    assert uploaded_certificate.judged(mine, pem(OWN).encode(), NOW) == (mine + pem(OWN)).encode()


@pytest.mark.parametrize("kind", ["rsa", "p384"])
def test_keys_that_browsers_take(served: ServedCertificate, kind: str) -> None:
    key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP384R1())
    served.replace(of(key))
    assert served.uploaded


ENCRYPTED = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
).decode()
REQUEST = (
    x509.CertificateSigningRequestBuilder()
    .subject_name(MIDDLE.name)
    .sign(KEY, hashes.SHA256())
    .public_bytes(serialization.Encoding.PEM)
    .decode()
)
NONSENSE = "-----BEGIN {0}-----\nAAAA\n-----END {0}-----\n"

BAD: dict[str, tuple[Callable[[], str], str]] = {
    "nothing": (lambda: "", "no certificate in PEM"),
    "text": (lambda: "\udcff hello", "no certificate in PEM"),
    "only a key": (lambda: pem(KEY), "no certificate in PEM"),
    "a request": (lambda: REQUEST, "a request, not a certificate"),
    "nonsense": (lambda: NONSENSE.format("CERTIFICATE"), "Certificate 1 makes no sense"),
    "cut": (lambda: LEAF[:200] + LEAF[264:], "Certificate 1 makes no sense"),
    "a key of nonsense": (lambda: LEAF + NONSENSE.format("PRIVATE KEY"), "key makes no sense"),
    "another block": (lambda: LEAF + NONSENSE.format("PUBLIC KEY"), "something else"),
    "two keys": (lambda: LEAF + pem(KEY) + pem(OWN), "more than one key"),
    "a password": (lambda: LEAF + ENCRYPTED, "protected by a password"),
    "another key": (lambda: LEAF + pem(ec.generate_private_key(ec.SECP256R1())), "fits none"),
    "no key": (lambda: LEAF, "not one for the device's own key"),
    "ended": (lambda: of(KEY, days=(-9, -1)), "has ended on"),
    "not yet": (lambda: of(KEY, days=(1, 9)), "is not valid before"),
    "an authority that ended": (
        lambda: of(KEY) + ROOT.issue(MIDDLE.key.public_key(), "middle", names=(), days=(-9, -1)),
        "CN=middle has ended on",
    ),
    "weak": (lambda: of(rsa.generate_private_key(65537, 1024)), "weak: RSA with 1024 bits"),
    "a rare curve": (lambda: of(ec.generate_private_key(ec.SECP256K1())), "browsers do not take (secp256k1)"),
    "a rare kind": (lambda: of(ed25519.Ed25519PrivateKey.generate()), "kind that browsers do not take"),
    "empty names": (lambda: of(KEY, alternatives=()), "subjectAltName"),
    "names for mail": (lambda: of(KEY, alternatives=(x509.RFC822Name("a@b.example"),)), "subjectAltName"),
    "a name with NUL": (lambda: of(KEY, names=("page.example\0x",)), "control characters"),
    "a name with ESC": (lambda: of(KEY, names=("\x1b[2Jpage.example",)), "control characters"),
    "an owner with ESC": (lambda: of(KEY, name="a\x1b[2J"), "control characters"),
    "an issuer with LF": (
        lambda: Authority("a\nNames: other").issue(KEY.public_key()) + pem(KEY),
        "control characters",
    ),
    "no names": (lambda: of(KEY, names=()), "subjectAltName"),
    "for mail": (lambda: of(KEY, usage=ExtendedKeyUsageOID.EMAIL_PROTECTION), "not made for servers"),
    "a stranger": (lambda: of(KEY) + ROOT.pem, "CN=root has no part in the chain"),
    "too much": (lambda: LEAF + " " * 70_000, "longer than any"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_is_refused_with_the_reason(name: str) -> None:
    make, reason = BAD[name]
    with pytest.raises(InvalidInput) as caught:
        uploaded_certificate.judged(make(), pem(OWN).encode(), NOW)
    assert reason in caught.value.message
    assert caught.value.remedy.endswith("Nothing was changed.")
    assert caught.value.place == "pem"


@pytest.fixture
def served(tmp_path: Path) -> ServedCertificate:
    file = tmp_path / "certificate.pem"
    return ServedCertificate(file, certificate.ensure(file, certificate.names_for("device"), NOW))


def test_an_uploaded_one_is_never_renewed_or_replaced_and_the_own_one_is_kept_fit(
    served: ServedCertificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, context = served.info, served.context
    served.replace(LEAF + MIDDLE.pem + pem(KEY))
    assert (served.uploaded, served.info.names) == (True, ("page.example",))
    assert served.info.issuer == "CN=middle"
    assert served.context is not context
    assert served.public.decode() == LEAF
    assert (tmp_path / UPLOADED).stat().st_mode & 0o777 == 0o600
    assert served.trouble() is None
    uploaded = served.info
    for days, severe in ((61, False), (91, True)):
        monkeypatch.setattr(certificate, "utc_now", lambda days=days: NOW + days * DAY)
        served.renew("device", Addresses(lasting=(f"192.0.2.{days}",)))
        assert served.info == uploaded
        told = served.trouble()
        assert told is not None
        assert told.severe == severe
        assert f"{uploaded.ends:%Y-%m-%d}" in told.text
    again = ServedCertificate(tmp_path / "certificate.pem", own)
    assert again.info == uploaded
    served.go_back()
    assert not served.uploaded
    assert {"192.0.2.61", "192.0.2.91"} < set(served.info.names), "an address may come back"
    assert served.trouble() is None
    assert sorted(path.name for path in tmp_path.iterdir()) == [".certificate.pem.good", "certificate.pem"]
    with pytest.raises(NotFound):
        served.go_back()


def test_what_is_refused_or_cannot_be_kept_changes_nothing(served: ServedCertificate, tmp_path: Path) -> None:
    before = served.info, served.context, served.public
    with pytest.raises(InvalidInput):
        served.replace(LEAF)
    (tmp_path / UPLOADED).mkdir()
    with pytest.raises(Unavailable, match="Nothing was changed"):
        served.replace(LEAF + pem(KEY))
    assert (served.info, served.context, served.public) == before


@pytest.mark.spec("S2")
def test_a_damaged_one_gives_way_to_its_copy_and_that_to_the_own_one(
    served: ServedCertificate, tmp_path: Path
) -> None:
    own = served.info
    served.replace(LEAF + pem(KEY))
    (tmp_path / UPLOADED).unlink()
    (tmp_path / UPLOADED).mkdir()  # reading it fails, whoever asks
    copied = ServedCertificate(tmp_path / "certificate.pem", own)
    assert copied.uploaded
    told = copied.trouble()
    assert told is not None
    assert "cannot be read (Is a directory), so its last good copy counts" in told.text
    (tmp_path / UPLOADED).rmdir()
    (tmp_path / UPLOADED).write_bytes(b"\x00")
    mended = ServedCertificate(tmp_path / "certificate.pem", own)
    told = mended.trouble()
    assert told is not None
    assert "so its last good copy counts" in told.text
    assert not told.severe
    assert (tmp_path / UPLOADED).read_bytes() == (LEAF + pem(KEY)).encode()
    for name in (UPLOADED, f".{UPLOADED}.good"):
        (tmp_path / name).write_bytes(b"\x00")
    spoilt = ServedCertificate(tmp_path / "certificate.pem", own)
    assert (spoilt.uploaded, spoilt.info) == (False, own)
    told = spoilt.trouble()
    assert told is not None
    assert "makes no sense" in told.text
    spoilt.go_back()
    assert spoilt.trouble() is None


def test_a_request_is_for_the_own_key_which_stays_over_renewals(
    served: ServedCertificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.renew("device", Addresses(("192.0.2.7", "2001:db8::1"), ("2001:db8:1::2",)))
    assert "2001:db8:1::2" in served.info.names
    request = x509.load_pem_x509_csr(served.request().encode())
    assert request.is_signature_valid
    alternative = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"device", "device.local"} < set(alternative.get_values_for_type(x509.DNSName))
    addresses = map(str, alternative.get_values_for_type(x509.IPAddress))
    assert {"192.0.2.7", "2001:db8::1", "192.168.78.1"} == set(addresses)
    monkeypatch.setattr(certificate, "utc_now", lambda: NOW + 340 * DAY)
    assert served.renew("device")
    monkeypatch.undo()
    served.replace(MIDDLE.issue(request.public_key()))
    assert served.uploaded


def test_by_the_api(world: World) -> None:
    world.user("admin")
    admin = basic("the-admin")
    own = call(world, "GET", "/certificate", admin).json()
    assert (own["uploaded"], own["names"]) == (False, ["allegro", "device.local"])
    bad = call(world, "PUT", "/certificate", admin, {"pem": LEAF})
    assert (bad.status_code, bad.json()["error"]["place"]) == (422, "pem")
    assert call(world, "GET", "/certificate", admin).json() == own
    request = call(world, "GET", "/certificate/request", admin).json()["pem"]
    signed = MIDDLE.issue(x509.load_pem_x509_csr(request.encode()).public_key())
    put = call(world, "PUT", "/certificate", admin, {"pem": signed})
    assert put.status_code == 200
    assert (put.json()["uploaded"], put.json()["issuer"], put.json()["pem"]) == (True, "CN=middle", signed)
    assert "PRIVATE" not in put.text
    assert call(world, "DELETE", "/certificate", admin).json() == own
    assert call(world, "DELETE", "/certificate", admin).status_code == 404


def test_on_the_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    viewer, admin = world.user("viewer"), world.user("admin")
    viewer.post("/administration/certificate", pem=LEAF + pem(KEY))
    assert viewer.get("/administration/certificate/request").status_code == 403
    assert not world.site.certificate.uploaded
    assert b"CERTIFICATE REQUEST" in admin.get("/administration/certificate/request").content
    admin.post("/administration/certificate", pem=LEAF)
    refused = admin.page("/administration")
    assert "not one for the device's own key" in refused
    assert "made its certificate itself" in refused
    admin.post("/administration/certificate", pem=LEAF + pem(KEY))
    page = admin.page("/administration")
    assert "This certificate was uploaded." in page
    assert pem(KEY).splitlines()[1] not in page
    assert "CN=middle" in viewer.page("/administration")
    monkeypatch.setattr(certificate, "utc_now", lambda: NOW + 80 * DAY)
    assert f"ends on {NOW + 90 * DAY:%Y-%m-%d}" in viewer.page("/")
    admin.post("/administration/certificate/own")
    assert "made its certificate itself" in admin.page("/administration")
