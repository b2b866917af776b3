"""Whom mail, web and log servers are believed to be: by public authorities, and those of the user's own."""

import ssl

import certifi


def trusting(certificate: str) -> ssl.SSLContext:
    """Checks certificates and names; `certificate`: further authorities (PEM), may be empty."""
    context = ssl.create_default_context(cafile=certifi.where())
    # Python 3.13 asks for all of RFC 5280, but authorities of `openssl req -x509` lack the key usage.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if certificate:
        context.load_verify_locations(cadata=certificate)
    return context
