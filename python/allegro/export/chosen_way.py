"""The way out that the settings name. What talks to a server is loaded by the first who does."""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from allegro.errors import Conflict, InvalidInput
from allegro.export.failures import Target
from allegro.export.host_keys import HostKey
from allegro.export.way import Way
from allegro.settings.export_ways import EXPORT_WAYS
from allegro.settings.model import Export

if TYPE_CHECKING:
    from allegro.export.session import Login


def chosen_way(export: Export, key_directory: Path, device: str) -> Way:
    """The server that is set; `device` is the host name. Raises AllegroError if it leads nowhere yet."""
    target = checked_target(export)
    if target is None:
        return _web_way(export, device)
    from allegro.export.sftp_way import SftpWay

    return SftpWay(target, _login(export, key_directory, device), pinned(export), device)


def checked_target(export: Export) -> Target | None:
    """The SFTP server; None: another way is set. Raises Conflict if it leads nowhere yet."""
    if export.protocol != "sftp":
        _check_address(export)
        return None
    for name, value in (("host", export.host), ("username", export.username)):
        if not value:
            raise Conflict(
                "No SFTP server is set up yet.",
                place=f"export.{name}",
                remedy="Set host and user name first.",
            )
    return Target(export.host, export.port, export.username)


def server_name(export: Export) -> str:
    """Name or address of the server that captures are sent to; empty if none is set."""
    return (urlsplit(export.url).hostname or "") if export.protocol != "sftp" else export.host


def pinned(export: Export) -> HostKey:
    """The host key of the SFTP server that is accepted."""
    return HostKey(export.host_key, export.host_key_type)


def _check_address(export: Export) -> None:
    way = EXPORT_WAYS[export.protocol]
    if not export.url:
        raise Conflict(f"No {way} server is set up yet.", place="export.url", remedy="Set its address first.")
    if export.protocol == "s3" and not (export.username and export.password):
        raise Conflict(
            "There are no keys for the server.",
            place="export.username",
            remedy="Set the access key as user name, and the secret key as password.",
        )
    if export.protocol == "s3" and not export.username.isascii():
        raise InvalidInput(
            "The access key has a letter that no access key has.",
            place="export.username",
            remedy="Copy it once more from where it was made.",
        )


def _web_way(export: Export, device: str) -> Way:
    match export.protocol:
        case "s3":
            from allegro.export.s3_way import S3Way

            return S3Way(export)
        case "https":
            from allegro.export.put_way import PutWay

            return PutWay(export)
        case _:
            from allegro.export.dav_way import DavWay

            return DavWay(export, device)


def _login(export: Export, key_directory: Path, device: str) -> "Login":
    from allegro.export.device_key import device_key
    from allegro.export.session import Login

    if export.authentication == "key":
        key = device_key(key_directory, device, export.key_type)
        return Login(export.username, key=key.private)
    if not export.password:
        raise InvalidInput(
            "There is no password for the server.",
            place="export.password",
            remedy="Set it, or choose authentication by key.",
        )
    return Login(export.username, password=export.password)
