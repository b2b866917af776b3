"""S3-compatible storage on the loopback: moto's, and before it botocore, which judges each signature."""

import hashlib
import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import create_backend_app
from moto.s3.models import s3_backends
from requests.structures import CaseInsensitiveDict

from tests.harness.wsgi_server import Environ, WsgiServer

KEY, SECRET, REGION, BUCKET = "AKIAPROBE", "geheim/+=", "eu-central-1", "captures"


class S3Server(WsgiServer):
    """Has one bucket, empty at the beginning, and one user."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._storage = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        self._storage.reset()
        self._storage.create_bucket(BUCKET, REGION)
        self.heeds_conditions = True
        self.knows_conditions = True
        self._moto = create_backend_app("s3")
        super().__init__(self._judged, certificate, key)

    @property
    def url(self) -> str:
        """Of the bucket."""
        return f"{self.origin}/{BUCKET}"

    def put(self, name: str, content: bytes) -> None:
        """As if somebody else had sent it."""
        self._storage.put_object(BUCKET, name, content)

    def begin(self, name: str) -> None:
        """Somebody else begins an upload in parts."""
        self._storage.create_multipart_upload(
            BUCKET, name, CaseInsensitiveDict(), "STANDARD", {}, None, "", ""
        )

    def files(self) -> dict[str, bytes]:
        """Everything that is seen in the bucket."""
        return {name: key.value for name, key in self._storage.buckets[BUCKET].keys.items()}

    def uploads(self) -> list[str]:
        """The names that uploads in parts are to have which are neither complete nor forgotten."""
        return [upload.key_name for upload in self._storage.buckets[BUCKET].multiparts.values()]

    def parts(self) -> int:
        """How many it has of uploads that are not complete."""
        return sum(len(upload.parts) for upload in self._storage.buckets[BUCKET].multiparts.values())

    def forget_uploads(self) -> None:
        """As a rule of the bucket does with those that are too old."""
        self._storage.buckets[BUCKET].multiparts.clear()

    def close(self) -> None:
        """Closes what the storage keeps in temporary files."""
        self._storage.reset()

    def _judged(self, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        content = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(content)
        if code := _wrong(environ, content):
            text = f"<Error><Code>{code}</Code></Error>".encode()
            start("403 Forbidden", [("Content-Type", "application/xml"), ("Content-Length", str(len(text)))])
            return [b"" if environ["REQUEST_METHOD"] == "HEAD" else text]
        if "HTTP_IF_NONE_MATCH" in environ and not self.knows_conditions:
            start("501 Not Implemented", [("Content-Length", "0")])
            return [b""]
        if not self.heeds_conditions:
            environ.pop("HTTP_IF_NONE_MATCH", None)
        answer: Iterable[bytes] = self._moto(environ, start)
        return answer


def _wrong(environ: Environ, content: bytes) -> str:
    """The code of the error that a server of Amazon answers with; empty if all is right."""
    _, _, rest = environ.get("HTTP_AUTHORIZATION", "").partition("AWS4-HMAC-SHA256 ")
    told = dict(each.strip().split("=", 1) for each in rest.split(",") if each)
    if not told:
        return "AccessDenied"
    key, _, scope = told["Credential"].partition("/")
    if key != KEY:
        return "InvalidAccessKeyId"
    if scope.split("/")[1] != REGION:
        return "AuthorizationHeaderMalformed"
    names = told["SignedHeaders"].split(";")
    headers = {name: environ.get(f"HTTP_{name.upper().replace('-', '_')}", "") for name in names}
    if headers["x-amz-content-sha256"] != hashlib.sha256(content).hexdigest():
        return "XAmzContentSHA256Mismatch"
    query = f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""
    url = f"https://{environ['HTTP_HOST']}{quote(environ['PATH_INFO'].encode('latin-1'))}{query}"
    request = AWSRequest(method=environ["REQUEST_METHOD"], url=url, headers=headers)
    request.context["timestamp"] = headers["x-amz-date"]
    judge = S3SigV4Auth(Credentials(KEY, SECRET), "s3", REGION)
    right = judge.signature(judge.string_to_sign(request, judge.canonical_request(request)), request)
    return "" if right == told["Signature"] else "SignatureDoesNotMatch"
