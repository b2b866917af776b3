"""Packets looked at in the page: real programs, hostile files, a dissector that dies; a real browser."""

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from allegro.accounts.roles import Role
from allegro.packets.packet_sources import PacketSources, file_source
from allegro.packets.packet_views import MOST, PacketViews
from allegro.trigger.surroundings import Surroundings
from allegro.words import utc
from tests.harness.browser import DESKTOP, SMALL_PHONE, assert_accessible
from tests.harness.conversation import ANSWERED, CLIENT, SAID, SERVER, conversation
from tests.harness.dissectors import Dissectors, dissectors
from tests.harness.sharkd import pcapng_file
from tests.harness.waiting import wait_for
from tests.harness.web_programs import PASSWORDS, Programs, basic, web_programs
from tests.host.conftest import Site
from tests.host.test_web_page import photograph
from tests.unit.capture.blocks import NS, Frame
from tests.unit.capture.rings import RUN, Ring

pytestmark = [pytest.mark.timeout(240), pytest.mark.spec("W12", "S1")]

FRAMES = [frame for port in (40001, 40002) for frame in conversation(port)]
WHOLE = pcapng_file([("port1", frame, len(frame)) for frame in FRAMES])

CRASHES = """#!/bin/sh
# Reads the packets, and is killed over the first one that it is asked for.
exec python3 -c '
import os, signal, subprocess, sys
child = subprocess.Popen(["sharkd", "-"], stdin=subprocess.PIPE, pass_fds=[3])
for line in sys.stdin:
    if "\\"frame\\"" in line and "\\"frame\\": 3" in line:
        os.kill(os.getpid(), signal.SIGSEGV)
    child.stdin.write(line.encode())
    child.stdin.flush()
'
"""


@dataclass
class Bench:
    """The programs of a device, and where its dissectors are had."""

    programs: Programs

    def ask(self, path: str, role: Role = "capture", /, **query: str) -> tuple[int, Any]:
        """Status and answer of a request."""
        status, _, body = self.programs.request(
            "GET", f"/api/packets{path}?{urlencode(query)}", basic(role, PASSWORDS[role])
        )
        return status, json.loads(body)

    def file(self, name: str, data: bytes) -> None:
        (self.programs.paths.storage / name).write_bytes(data)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "data").mkdir()
    ring = Ring(tmp_path / "data/ring")
    ring.add(1, [Frame(RUN + number * NS, frame) for number, frame in enumerate(FRAMES)])
    with web_programs(tmp_path) as programs:
        yield Bench(programs)


def test_packets_are_looked_at_whatever_strangers_have_sent(bench: Bench, tmp_path: Path) -> None:
    socket = bench.programs.paths.dissectors
    bench.file("whole.pcapng", WHOLE)
    bench.file("cut.pcapng", WHOLE[: len(WHOLE) - 40])
    bench.file("noise.pcapng", os.urandom(1 << 20))

    status, refused = bench.ask("", file="whole.pcapng")
    assert (status, "does not start" in refused["error"]["message"]) == (503, True)
    with dissectors(socket) as running:
        _files(bench, running)
        _window(bench)
        assert bench.ask("/1", file="whole.pcapng")[0] == 200
        running.kill()
        assert bench.ask("/1", file="whole.pcapng")[0] == 200, "one that is gone is made again"
        status, _, listed = bench.programs.request("GET", "/api/events", basic("admin", PASSWORDS["admin"]))
        assert status == 200
        assert "Looked at packets of whole.pcapng" in listed.decode()
        running.kill()
    crashing = tmp_path / "crashing-sharkd"
    crashing.write_text(CRASHES)
    crashing.chmod(0o755)
    with dissectors(socket, crashing) as running:
        _crash(bench)
        running.kill()


def test_views_give_their_places_to_others_and_go_when_nobody_looks(tmp_path: Path) -> None:
    around = Surroundings(
        ring=tmp_path,
        recorder_status=tmp_path / "status.json",
        storage=tmp_path,
        upload=tmp_path,
        to_upload=lambda: False,
        recorder=lambda: None,
        estimate=lambda _start, _end: 0,
        facts=dict,
        ports=tuple,
        play=lambda _signal: None,
        on_complete=lambda _job: None,
    )
    socket = tmp_path / "packets.sock"
    views = PacketViews(PacketSources(around, tmp_path / "cut"), socket, lambda: "UTC", idle_s=0.1)
    with dissectors(socket) as running:
        for number in range(MOST + 1):
            file = tmp_path / f"{number}.pcapng"
            file.write_bytes(WHOLE)
            assert len(views.shown(file_source(file.name, file, "")).rows) == len(FRAMES)
        wait_for(lambda: len(running.running()) <= MOST, "the end of the view that gave its place", 20)
        wait_for(lambda: not running.running(), "the end of all views", 20)


def _files(bench: Bench, running: Dissectors) -> None:
    status, found = bench.ask("", file="whole.pcapng")
    assert status == 200, found
    assert [(each["number"], each["source"], each["protocol"]) for each in found["packets"]][:3] == [
        (1, CLIENT, "TCP"),
        (2, SERVER, "TCP"),
        (3, CLIENT, "HTTP"),
    ]
    assert (found["count"], found["more"], found["notes"]) == (8, False, [])
    assert bench.ask("", "viewer", file="whole.pcapng")[0] == 403
    assert bench.ask("/1", "viewer", file="whole.pcapng")[0] == 403

    _, second = bench.ask("", file="whole.pcapng", filter="tcpPort == 40002", limit="2", offset="1")
    assert [each["number"] for each in second["packets"]] == [2, 3]
    assert len(running.running()) == 2
    status, mistake = bench.ask("", file="whole.pcapng", filter="prot == 7")
    assert (status, mistake["error"]["place"]) == (422, "filter")

    _, behind = bench.ask("", file="whole.pcapng", skip="6")
    assert [each["time"] for each in behind["packets"]] == [each["time"] for each in found["packets"]][6:]
    assert [each["number"] for each in behind["packets"]] == [1, 2], "of this table"
    assert bench.ask("", file="whole.pcapng", skip="8")[1]["count"] == 0
    _, second = bench.ask("", file="whole.pcapng", filter="tcpPort == 40002", skip="1")
    assert second["count"] == 3

    status, packet = bench.ask("/7", file="whole.pcapng", digest=found["digest"])
    assert status == 200, packet
    assert "Hypertext Transfer Protocol" in [each["text"] for each in packet["details"]]
    assert packet["streams"] == ["TCP"]
    _, stream = bench.ask("/7/stream", file="whole.pcapng")
    assert (stream["client"], stream["server"]) == (f"{CLIENT}:40002", f"{SERVER}:80")
    assert [base64.b64decode(each["data"]) for each in stream["pieces"]] == [SAID, ANSWERED]
    assert bench.ask("/7/stream", file="whole.pcapng", protocol="UDP")[0] == 404
    assert bench.ask("/9", file="whole.pcapng")[0] == 404
    assert bench.ask("/1", file="whole.pcapng", digest="of other packets")[0] == 409

    _, cut = bench.ask("", file="cut.pcapng")
    assert (cut["count"], cut["notes"]) == (
        7,
        ["What is behind these packets cannot be read. It ends in the middle of a packet."],
    )
    status, noise = bench.ask("", file="noise.pcapng")
    assert (status, noise["error"]["message"]) == (
        422,
        "This is no file of packets that the device has made.",
    )
    assert bench.ask("", file="gone.pcapng")[0] == 404
    assert len(running.running()) <= 3


def _window(bench: Bench) -> None:
    window = {"start": utc(RUN + NS), "end": utc(RUN + 6 * NS)}
    status, found = bench.ask("", **window)
    assert status == 200, found
    assert found["count"] == 6
    assert found["packets"][0]["time"] == "2025-11-21T21:53:21.000000000Z"
    _, some = bench.ask("", **window, filter="tcpPort == 40001")
    assert some["count"] == 3
    assert bench.ask("/6", **window, digest=found["digest"])[0] == 200
    assert list(bench.programs.paths.cut_packets.iterdir()) == []
    assert bench.ask("", start=window["end"], end=window["start"])[0] == 422
    assert bench.ask("")[0] == 422


def _crash(bench: Bench) -> None:
    assert bench.ask("", file="whole.pcapng")[0] == 200
    assert bench.ask("", file="cut.pcapng")[0] == 200
    status, crashed = bench.ask("/3", file="whole.pcapng")
    assert (status, crashed["error"]["message"]) == (503, "The dissector ended while it read whole.pcapng.")
    assert "Download" in crashed["error"]["remedy"]
    assert bench.ask("/2", file="cut.pcapng")[0] == 200, "the view beside is none of its business"
    assert bench.ask("/2", file="whole.pcapng")[0] == 200, "all other packets can still be looked at"


@pytest.mark.spec("W8", "W15")
def test_the_page_shows_table_details_bytes_and_stream(site: Site, anna: Page) -> None:
    paths = site.world.device.paths
    (paths.storage / "whole.pcapng").write_bytes(WHOLE)
    site.world.device.settings.change({"time": {"zone": "Asia/Kolkata"}})
    site.world.site.zone.forget()
    with dissectors(paths.dissectors) as running:
        anna.set_viewport_size(SMALL_PHONE)  # type: ignore[arg-type]
        anna.goto("/storage")
        anna.get_by_role("link", name="Packets of whole.pcapng").click()
        table = anna.get_by_role("table")
        expect(table.get_by_role("row")).to_have_count(9)
        expect(table).to_contain_text("05:30:00.000000")  # 1970 in India
        anna.wait_for_load_state()  # with its scripts
        anna.get_by_role("link", name="3", exact=True).focus()
        anna.keyboard.press("Enter")
        expect(anna.get_by_role("heading", name="Packet 3")).to_be_focused()
        expect(anna.locator("pre.dump")).to_contain_text("GET /one")
        anna.get_by_text("Hypertext Transfer Protocol").click()
        expect(anna.locator("pre.dump mark").first).to_contain_text("47 45 54")
        assert_accessible(anna)
        photograph(anna, "packets-phone.png")
        assert anna.evaluate("document.documentElement.scrollWidth") <= SMALL_PHONE["width"]
        anna.get_by_role("link", name="Follow the TCP stream").click()
        expect(anna.get_by_label(f"From {SERVER}:80, packet 4")).to_contain_text("hello")
        assert_accessible(anna)
        anna.get_by_role("link", name="Only packets of this stream").click()
        expect(anna.get_by_role("table").get_by_role("row")).to_have_count(5)
        anna.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
        anna.emulate_media(color_scheme="dark")
        anna.get_by_label("Filter").fill("prot == 7")
        anna.get_by_role("button", name="Show").click()
        expect(anna.locator("#filter-error")).to_contain_text("Column 1")
        assert_accessible(anna)
        photograph(anna, "packets-desktop-dark.png")
        running.kill()
