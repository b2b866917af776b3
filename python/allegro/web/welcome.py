"""The page that a phone shows by itself in the device's WiFi: where one is, and how to get on.

By plain HTTP, because no phone trusts the device's certificate yet; so it tells nothing that is secret, and
changes nothing but whether the phone is told that it may stay. `allegro.captive_probes` has what they ask.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from allegro.captive_probes import NAMES, PROBES
from allegro.errors import AllegroError
from allegro.web.backend import Asker
from allegro.web.site import Site

PATH = "/welcome"
STAY = f"{PATH}/stay"
REMEMBERED = 256
"""So many phones; the one that has not asked for longest is forgotten first, and sees the page again."""


_ASKER = Asker("web-welcome", "viewer")
_ANSWER_S = 5.0
_KNOWN_S = 2.0
"""So long the answer counts. Anybody may ask for the page; that must not keep the supervisor busy."""


class Welcome:
    """Answers probes, and the page that they lead to. `https_port`: where the device's page is."""

    def __init__(self, site: Site, https_port: int) -> None:
        self._site = site
        self._port = "" if https_port == 443 else f":{https_port}"
        self._staying: OrderedDict[str, None] = OrderedDict()
        self._asking = asyncio.Lock()
        self._own: frozenset[str] = frozenset()
        self._known_until_s = float("-inf")

    def routes(self) -> Sequence[Route]:
        """To stand before what answers everything else on the port of HTTP."""
        return (
            Route(PATH, self._page, methods=["GET"]),
            Route(STAY, self._stay, methods=["POST"]),
            Route("/favicon.ico", _no_picture, methods=["GET"]),
        )

    def probed(self, request: Request) -> Response | None:
        """The answer to a probe, None to anything else."""
        host = request.url.hostname or ""
        if host not in NAMES or request.method not in ("GET", "HEAD"):
            return None
        expected = PROBES.get((host, request.url.path))
        if expected is None or not self._stays(request):
            return RedirectResponse(f"http://{_own(request)}{PATH}", status_code=302)
        return Response(expected.content, expected.status, media_type=expected.media_type)

    async def _page(self, request: Request) -> Response:
        address = _bracketed(request.scope["server"][0])
        page = f"https://{address}{self._port}/"
        if address not in await self._addresses():
            return RedirectResponse(page, status_code=302)
        context = {
            "host_name": self._site.host_name,
            "stays": self._stays(request),
            "pages": [page, f"https://allegro{self._port}/"],
            "stay": STAY,
        }
        return HTMLResponse(self._site.templates.get_template("welcome.html").render(context))

    async def _addresses(self) -> frozenset[str]:
        """The device's in its own WiFi. None where that cannot be known."""
        async with self._asking:  # one asks for all
            if self._site.now_s() >= self._known_until_s:
                self._own = await self._asked()
                self._known_until_s = self._site.now_s() + _KNOWN_S
            return self._own

    async def _asked(self) -> frozenset[str]:
        try:
            async with asyncio.timeout(_ANSWER_S):
                wifi = await self._site.backend.ask(_ASKER, "GET", "/wifi")
        except (AllegroError, TimeoutError):
            return frozenset()
        on = wifi["mode"] == "access-point"
        return frozenset(each.partition("/")[0] for each in wifi["addresses"] if on)

    async def _stay(self, request: Request) -> Response:
        self._staying[_client(request)] = None
        while len(self._staying) > REMEMBERED:
            self._staying.popitem(last=False)
        return RedirectResponse(PATH, status_code=303)

    def _stays(self, request: Request) -> bool:
        client = _client(request)
        if client not in self._staying:
            return False
        self._staying.move_to_end(client)
        return True


async def _no_picture(_: Request) -> Response:
    """Browsers ask for it by themselves; that of the device's page, elsewhere, is none that they may take."""
    return Response(status_code=204)


def _client(request: Request) -> str:
    return request.client.host if request.client else ""


def _own(request: Request) -> str:
    """The address at which it was asked, whatever name it used; with a port that is not 80."""
    address, port = request.scope["server"]
    return _bracketed(address) + ("" if port in (80, None) else f":{port}")


def _bracketed(address: str) -> str:
    """For a URL; an IPv4 address that the kernel shows as one of IPv6 (RFC 4291, 2.5.5.2) as what it is."""
    address = address.removeprefix("::ffff:")
    return f"[{address}]" if ":" in address else address
