from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.harness.frames import udp_frame
from tests.unit.api.bench import Bench, make_bench, recording
from tests.unit.capture.blocks import Frame
from tests.unit.capture.rings import RUN, Ring

pytestmark = pytest.mark.spec("F5", "W6")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path)
    made.recorder = recording()
    yield made
    made.jobs.close()


def asked(bench: Bench, what: str, text: str) -> Any:
    return bench.get(f"/filter/{what}?{urlencode({'text': text})}")


def test_a_filter_is_checked_against_this_device(bench: Bench) -> None:
    answer = asked(bench, "check", "interface EQ port1 && vlan==0x7")
    assert answer == {"filter": "interface == port1 and vlan == 7", "mistake": None}
    assert asked(bench, "check", "") == {"filter": "", "mistake": None}
    assert asked(bench, "check", "vlan == 7 or interface == prot1") == {
        "filter": "",
        "mistake": {
            "message": "Column 27: no interface is called 'prot1'.",
            "remedy": "Do you mean port1?",
            "column": 27,
            "length": 5,
        },
    }


def test_what_libpcap_refuses_and_what_is_no_line_is_told(bench: Bench) -> None:
    mistake = asked(bench, "check", 'bpf("tcpp")')["mistake"]
    assert (mistake["column"], mistake["length"]) == (5, 6)
    assert asked(bench, "check", 'bpf("a\nb")')["mistake"]["message"].endswith(".")


def test_a_silent_recorder_knows_no_ports(bench: Bench) -> None:
    bench.recorder = None
    assert asked(bench, "check", "interface == port9") == {
        "filter": "interface == port9",
        "mistake": None,
    }


def test_what_can_be_written_next(bench: Bench) -> None:
    assert asked(bench, "completion", "vlan == 7 and interface == p") == {"start": 27, "words": ["port1"]}


def test_the_fields(bench: Bench) -> None:
    fields = {each["name"]: each for each in bench.get("/filter")["fields"]}
    assert fields["interface"] == {
        "name": "interface",
        "operators": ["==", "!=", "===", "~"],
        "values": ["port1"],
        "expects": "a name, in quotes if it has blanks",
    }


@pytest.mark.spec("L4", "R8")
def test_a_live_capture_takes_what_the_check_calls_right(bench: Bench) -> None:
    groups = {"groups": {"links": [{"name": "Firewall", "interfaces": "port1"}]}}
    assert bench.call("PATCH", "/settings", groups).status_code == 200
    for text, mistake in (("group == firewall", False), ("group == wall", True)):
        assert bool(asked(bench, "check", text)["mistake"]) is mistake
        refused = bench.call("HEAD", f"/live?{urlencode({'filter': text})}").status_code == 422
        assert refused is mistake


@pytest.mark.parametrize(("role", "words"), [("capture", ["192.0.2.1", "192.0.2.2"]), ("viewer", [])])
def test_addresses_of_packets_are_offered_to_who_may_open_captures(
    bench: Bench, role: str, words: list[str]
) -> None:
    """They are other people's traffic."""
    ring = Ring(bench.paths.ring)
    ring.add(1, [Frame(RUN, udp_frame(1))])
    headers = {"X-Allegro-User": "anna", "X-Allegro-Role": role}
    answer = bench.call("GET", f"/filter/completion?{urlencode({'text': 'ip == 1'})}", None, headers)
    assert answer.json() == {"start": 6, "words": words}
