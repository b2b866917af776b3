"""A WebDAV server on the loopback (WsgiDAV), which can be made to misbehave."""

from pathlib import Path

from wsgidav.wsgidav_app import WsgiDAVApp

from tests.harness.wsgi_server import WsgiServer

USER, PASSWORD = "probe", "geheim"


class WebDavServer(WsgiServer):
    """Serves `folder` by HTTPS to one user."""

    def __init__(self, folder: Path, certificate: Path, key: Path) -> None:
        self.folder = folder
        config = {
            "provider_mapping": {"/dav": str(folder)},
            "simple_dc": {"user_mapping": {"*": {USER: {"password": PASSWORD}}}},
            "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
            "logging": {"enable": False},
            "verbose": 0,
        }
        super().__init__(WsgiDAVApp(config), certificate, key)

    @property
    def url(self) -> str:
        """Of the folder."""
        return f"{self.origin}/dav"

    def files(self) -> dict[str, bytes]:
        """Everything in the folder, by its path."""
        there = (each for each in self.folder.rglob("*") if each.is_file())
        return {str(each.relative_to(self.folder)): each.read_bytes() for each in there}
