"""Requests to S3-compatible storage: signed, their answers in XML. See `s3_way` for the sources."""

import hashlib
import xml.etree.ElementTree as ET
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import httpx
from aws_request_signer import AwsRequestSigner

from allegro.export.errand import Errand
from allegro.export.failures import FileTrouble, ServerTrouble, disk_full
from allegro.export.http_files import BY_ITSELF, ONLY_IF_FREE, HttpFiles, nobody_has
from allegro.export.s3_parts import Part, tag_of

TAKEN = (409, 412)
"""There is something under that name, or somebody just puts it there (User Guide, "Conditional writes")."""

_LOGIN = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidClientTokenId"}
_REGION = {"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "InvalidRegion"}
_FULL = {"QuotaExceeded", "XMinioStorageFull", "InsufficientCapacity"}


class Signature(httpx.Auth):
    """Signs requests by AWS Signature Version 4; those with content say its SHA-256 in a header."""

    def __init__(self, key: str, secret: str, region: str) -> None:
        self._signer = AwsRequestSigner(region, key, secret, "s3")

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """See httpx.Auth."""
        sha256 = request.headers.get("x-amz-content-sha256", hashlib.sha256(b"").hexdigest())
        signed = self._signer.sign_with_headers(request.method, str(request.url), content_hash=sha256)
        request.headers.update(signed)
        yield request


class UploadGone(Exception):
    """The server knows nothing of this upload in parts: it is complete, or was forgotten."""


@dataclass(frozen=True)
class Upload:
    """One in parts: the path that the file is to have, and the server's id."""

    path: str
    id: str


@dataclass(frozen=True)
class Stored:
    """A part that the server has, with its ETag."""

    size: int
    tag: str


class S3Files(HttpFiles):
    """What lies in a bucket, or below a part of its names. Raises httpx.HTTPError."""

    def __init__(self, client: httpx.Client, base: str) -> None:
        super().__init__(client, base, "a bucket of S3-compatible storage")
        self._condition = ONLY_IF_FREE

    def look_for_nothing(self) -> None:
        """Raises ServerTrouble if the server does not say of a name that nobody has what a bucket says."""
        path = nobody_has()
        answer = self.client.get(self.url(path))
        code = _text(answer, "Code")
        if answer.status_code == 404 and code == "NoSuchKey":
            return
        if code == "AccessDenied":
            raise ServerTrouble(
                "The server does not say whether a file is there (AccessDenied).",
                place=self.place,
                remedy="Have the owner of the key allowed to list the bucket (s3:ListBucket), to read"
                " and to write.",
            )
        if code:
            trouble = self.refused(answer, "say whether a file is there", path)
            raise (
                trouble
                if isinstance(trouble, ServerTrouble)
                else ServerTrouble(trouble.message, place=self.place, remedy=trouble.remedy)
            )
        raise ServerTrouble(
            "This is no bucket of S3-compatible storage: the server answers in another form"
            f" (HTTP {answer.status_code}).",
            place=self.place,
            remedy="Check the address: that of the service, a slash, and the name of the bucket.",
        )

    def if_free(self, ask: Callable[[dict[str, str]], httpx.Response]) -> httpx.Response:
        """Asks on the condition that a name is free; without it where the server knows no conditions.

        Some answer that they have not implemented it (501), and would take no file otherwise.
        """
        answer = ask(self._condition)
        if answer.status_code == 501 and self._condition:
            self._condition = {}
            answer = ask(self._condition)
        return answer

    def is_same(self, path: str, errand: Errand) -> bool | None:
        """By the server's tag, which spares reading it; else as in `HttpFiles`."""
        tag = self._head(path).headers.get("ETag", "").strip('"')
        return (bool(tag) and tag == tag_of(errand)) or super().is_same(path, errand)

    def begin(self, path: str) -> Upload:
        """Begins an upload in parts. Raises FileTrouble."""
        answer = self._post(path, {"uploads": ""}, b"")
        name = _text(answer, "UploadId")
        if answer.status_code != 200 or not name:
            raise self.refused(answer, "begin an upload in parts", path)
        return Upload(path, name)

    def uploads_to(self, path: str) -> list[str]:
        """The ids of those in parts that are to have exactly this path; none if the server does not tell."""
        answer = self.client.get(f"{self.url('')}?{_query({'prefix': path, 'uploads': ''})}")
        tree = _tree(answer) if answer.status_code == 200 else None
        found = [] if tree is None else tree.iterfind("{*}Upload")
        return [each.findtext("{*}UploadId", "") for each in found if each.findtext("{*}Key", "") == path]

    def put_part(self, upload: Upload, part: Part, content: Iterator[bytes], sha256: str) -> str:
        """Writes it; its tag. Raises FileTrouble."""
        url = self._of(upload, {"partNumber": str(part.number)})
        answer = self.put(url, content, part.length, {"x-amz-content-sha256": sha256})
        tag: str = answer.headers.get("ETag", "")
        if answer.status_code != 200 or not tag:
            raise self.refused(answer, "write a part of the file", upload.path)
        return tag

    def parts(self, upload: Upload) -> dict[int, Stored]:
        """What the server has of it, by number; nothing if it does not tell. Raises UploadGone."""
        found: dict[int, Stored] = {}
        marker = ""
        while True:
            answer = self.client.get(self._of(upload, {"part-number-marker": marker} if marker else {}))
            if answer.status_code == 404 and _text(answer, "Code") == "NoSuchUpload":
                raise UploadGone
            tree = _tree(answer) if answer.status_code == 200 else None
            if tree is None:
                return found
            for each in tree.iterfind("{*}Part"):
                number, size = (each.findtext(f"{{*}}{name}", "") for name in ("PartNumber", "Size"))
                if number.isdecimal() and size.isdecimal():
                    found[int(number)] = Stored(int(size), each.findtext("{*}ETag", ""))
            following = tree.findtext("{*}NextPartNumberMarker", "")
            if tree.findtext("{*}IsTruncated", "") != "true" or following in ("", marker):
                return found
            marker = following

    def complete(self, upload: Upload, tags: Mapping[int, str]) -> bool:
        """Has the parts put together. False: there is something under this name by now. Raises FileTrouble.

        An answer that begins well may end in an error (API Reference, CompleteMultipartUpload).
        """
        root = ET.Element("CompleteMultipartUpload")
        for number in sorted(tags):
            part = ET.SubElement(root, "Part")
            ET.SubElement(part, "PartNumber").text = str(number)
            ET.SubElement(part, "ETag").text = tags[number]
        content = ET.tostring(root)
        answer = self.if_free(
            lambda condition: self._post(upload.path, {"uploadId": upload.id}, content, condition)
        )
        if answer.status_code in TAKEN:
            return False
        if answer.status_code != 200 or _text(answer, "Code"):
            raise self.refused(answer, "put the parts of the file together", upload.path)
        return True

    def forget(self, upload: Upload) -> bool:
        """Has the parts thrown away. False: the server refuses that."""
        return self.client.delete(self._of(upload, {})).status_code in (200, 204, 404)

    def refused(self, answer: httpx.Response, doing: str, place: str) -> FileTrouble | ServerTrouble:
        """See `HttpFiles`; by the code of the error, as far as there is one."""
        code = _text(answer, "Code")
        if code in _LOGIN:
            return ServerTrouble(
                f"The server did not accept this access key with this secret key ({code}).",
                place=self.place,
                remedy="Check user name (the access key) and password (the secret key).",
            )
        if code == "RequestTimeTooSkewed":
            return ServerTrouble(
                "The clock of the device differs too much from that of the server.",
                place=self.place,
                remedy="Check the time of the device.",
            )
        if code in _REGION:
            region = _text(answer, "Region")
            return ServerTrouble(
                f"The server wants another region{f': {region}' if region else ''} ({code}).",
                place=self.place,
                remedy="Set the region of the bucket.",
            )
        if code == "NoSuchBucket":
            return ServerTrouble(
                "The server has no bucket of this name.",
                place=self.place,
                remedy="Check the address, or make the bucket.",
            )
        if code in _FULL:
            return disk_full(place, None)
        if code and not 300 <= answer.status_code < 400:
            theirs = "Check the address, and what the owner of the access key may do there."
            return FileTrouble(
                f"The server refused to {doing} ({code}).",
                place=place,
                remedy=BY_ITSELF if answer.status_code >= 500 else theirs,
            )
        return super().refused(answer, doing, place)

    def _post(
        self, path: str, query: Mapping[str, str], content: bytes, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        signed = {
            "x-amz-content-sha256": hashlib.sha256(content).hexdigest(),
            "Content-Type": "application/xml",
        }
        url = f"{self.url(path)}?{_query(query)}"
        return self.client.post(url, content=content, headers={**signed, **(headers or {})})

    def _of(self, upload: Upload, more: Mapping[str, str]) -> str:
        return f"{self.url(upload.path)}?{_query({**more, 'uploadId': upload.id})}"


def _query(values: Mapping[str, str]) -> str:
    return urlencode(values, quote_via=quote, safe="")


def _tree(answer: httpx.Response) -> ET.Element | None:
    """The answer's XML, if it is some. Pages of others may have an encoding that expat does not know."""
    try:
        return ET.fromstring(answer.content)  # noqa: S314 - expat bounds what entities become
    except (ET.ParseError, LookupError, ValueError):
        return None


def _text(answer: httpx.Response, name: str) -> str:
    """What the answer has under this name; empty if nothing."""
    tree = _tree(answer)
    return "" if tree is None else tree.findtext(f"{{*}}{name}", "")
