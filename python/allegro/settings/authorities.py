"""Certificates of private authorities, as settings hold them."""

import ssl


def certificates(value: str) -> str:
    """Certificates in PEM, or nothing. Raises ValueError for anything else."""
    if value:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=value)
        except (ssl.SSLError, ValueError, TypeError):
            raise ValueError("is not a certificate in PEM format (-----BEGIN CERTIFICATE----- …)") from None
    return value
