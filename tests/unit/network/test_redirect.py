"""Rules and formats; the real kernel is in tests/host/test_redirect.py."""

import json

import pytest

from allegro.network.links import Link, LinkPlan
from allegro.network.redirect import steps, targets, wanted

pytestmark = pytest.mark.spec("L5")

TO_PORT2 = [
    {"protocol": "all", "pref": 1, "kind": "bpf", "chain": 0},
    {
        "kind": "bpf",
        "options": {
            "handle": "0x1",
            "actions": [{"order": 1, "kind": "mirred", "mirred_action": "redirect", "to_dev": "port2"}],
        },
    },
]
OTHER = [{"kind": "bpf", "options": {"actions": [{"order": 1, "kind": "gact"}]}}]


def test_each_port_of_a_link_sends_to_the_other() -> None:
    links = (Link("br1", ("port1", "port2")), Link("br3", ("port5", "port6")))
    assert wanted(LinkPlan(links, ("port3",))) == {
        "port1": "port2",
        "port2": "port1",
        "port5": "port6",
        "port6": "port5",
    }


def test_what_tc_answers() -> None:
    answer = "".join(f"{json.dumps(each)}\n" for each in (TO_PORT2, [], OTHER))
    assert targets(["port1", "port2", "port3"], answer) == {"port1": "port2"}
    with pytest.raises(ValueError, match="3 answers for 4 ports"):
        targets(["port1", "port2", "port3", "port4"], answer)
    with pytest.raises(ValueError, match="Expecting value"):
        targets(["port1"], 'Object "filter" is unknown\n')


def test_only_what_differs_is_changed() -> None:
    both = {"port1": "port2", "port2": "port1"}
    assert steps(both, both) == []
    assert steps({"port1": "*", "port2": "port1"}, both) == [
        "qdisc replace dev port1 clsact",
        'filter replace dev port1 ingress pref 1 handle 1 bpf bytecode "1,6 0 0 4294967295," '
        "action mirred egress redirect dev port2",
    ]
    assert steps(both | {"mgmt0": "port1"}, both) == ["qdisc delete dev mgmt0 clsact"]
    assert steps(both, {}) == ["qdisc delete dev port1 clsact", "qdisc delete dev port2 clsact"]
    assert len(steps({}, both)) == 4
