"""The certificate of the web page. Served by the web page's program, which alone keeps it."""

from collections.abc import Callable
from typing import Protocol

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from allegro.api.audit import say
from allegro.api.judge import requires
from allegro.api.noun import noun


class CertificateAnswer(BaseModel):
    """The certificate that the page shows."""

    uploaded: bool = Field(description="false: the device has made it itself, and renews it")
    fingerprint: str = Field(description="SHA-256")
    issuer: str = Field(description="Who has signed it (RFC 4514)")
    names: list[str] = Field(description="Names and addresses that it holds for")
    begins_time: str
    ends_time: str
    pem: str = Field(description="The certificate itself")


class RequestAnswer(BaseModel):
    """What an authority makes a certificate of."""

    pem: str = Field(description="Request for the device's own key (PKCS #10)")


class Upload(BaseModel):
    """A certificate to be shown."""

    model_config = ConfigDict(extra="forbid")

    pem: str = Field(
        description="Certificate, its chain, and its key unless it was made for the device's own; any order",
        json_schema_extra={"secret": True},
    )


class Certificates(Protocol):
    """What can be done. All methods raise AllegroError, and may be called from several threads."""

    def certificate(self) -> CertificateAnswer:
        """The present one."""

    def upload_certificate(self, pem: str) -> None:
        """Shows another one from now on."""

    def own_certificate(self) -> None:
        """Back to the one that the device has made itself."""

    def certificate_request(self) -> str:
        """For the device's own key, PEM."""


def router(certificates: Callable[[], Certificates]) -> APIRouter:
    """Everything below /certificate."""
    routes = noun("certificate", "/certificate")

    @routes.get("", dependencies=[requires("admin")])
    def certificate() -> CertificateAnswer:
        """The certificate that the page shows."""
        return certificates().certificate()

    @routes.put("", dependencies=[requires("admin")])
    def upload(upload: Upload, request: Request) -> CertificateAnswer:
        """Shows another certificate from now on. One that cannot be used is refused, and nothing changed."""
        certificates().upload_certificate(upload.pem)
        say(request, "Uploaded a certificate for the page")
        return certificate()

    @routes.delete("", dependencies=[requires("admin")])
    def back(request: Request) -> CertificateAnswer:
        """Forgets the uploaded certificate with its key: the page shows the device's own again."""
        certificates().own_certificate()
        say(request, "Went back to the device's own certificate")
        return certificate()

    @routes.get("/request", dependencies=[requires("admin")])
    def made_request() -> RequestAnswer:
        """A request for a certificate of the device's own key, which never leaves the device."""
        return RequestAnswer(pem=certificates().certificate_request())

    return routes
