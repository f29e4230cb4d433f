"""TLS to the server: always verified. What is wrong with a certificate is said as a sentence."""

import ssl
from pathlib import Path

from aiohttp import ClientConnectorCertificateError, ClientConnectorSSLError

from headrace_client.connection import Connection
from headrace_client.errors import Untrusted
from headrace_model.errors import InvalidInput


def trust(connection: Connection) -> ssl.SSLContext | bool:
    """Whom to trust: the CA that the connection names, and nobody else; else this machine's CAs.

    A server's own certificate may stand for its CA. Raises `InvalidInput`.
    """
    path = connection.ca_file
    if path is None or not connection.url.startswith("https:"):
        return True
    try:
        context = ssl.create_default_context(cadata=Path(path).expanduser().read_text())
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        why = getattr(error, "strerror", None) or "it holds no certificate as PEM"
        raise InvalidInput(f"the CA file {path} can't be used: {why}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def untrusted(
    connection: Connection,
    error: ClientConnectorCertificateError | ClientConnectorSSLError | ssl.SSLError,
) -> Untrusted:
    """Say what is wrong with a server's certificate, or that it has none."""
    cause = getattr(error, "certificate_error", error)
    said = getattr(cause, "verify_message", "")
    code = getattr(cause, "verify_code", 0)
    if not isinstance(cause, ssl.SSLCertVerificationError):
        return Untrusted(
            f"{connection.url} does not speak TLS as we do: {cause}",
            hint="if it has no certificate, write http:// in the URL; else ask its admin",
        )
    if code in _OTHER_NAME:
        return Untrusted(
            f"the certificate of {connection.url} is for another host: {said}",
            hint="use the name in the URL that the certificate is for",
        )
    return Untrusted(
        f"the certificate of {connection.url} can't be verified: {said or cause}",
        hint="name the CA that vouches for it by --ca-file or HEADRACE_CA_FILE",
    )


# X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL's x509_vfy.h
_OTHER_NAME = (62, 64)
