"""A link is a wire: traffic control sends what comes into a port out of the other, before a bridge sees it.

At the ingress of each port of a link stands a filter that matches everything (tc-bpf(8)) and redirects it to
the partner (tc-mirred(8)). So every frame passes unchanged, also what a bridge keeps: frames to and from the
ports' own addresses, with a group or zero as sender, and pause frames, as far as the card hands them over.
The link's bridge (see `links`) stays underneath. It brings the ports up and makes them promiscuous, and it
forwards as soon as there is no filter: no frame is lost while one is put in place, taken away or missing.

A port stops sending for a moment when it is given its place for filters (the queueing discipline clsact;
qdisc_graft in net/sched/sch_api.c), so it gets that before it is up, or when its link begins or ends.

Filters belong to the kernel: no restart of a program of ours touches them. Packet sockets are served before
the filter (__netif_receive_skb_core in net/core/dev.c), so the recorder sees each frame as before.
"""

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence

from allegro.network.links import LinkPlan

_TC_TIMEOUT_S = 30

# Of the classifiers, bpf is the one whose filters can be replaced in one step; matchall's cannot.
_EVERYTHING = "1,6 0 0 4294967295,"  # one instruction of linux/filter.h: return all of the packet
_PLACE = "ingress pref 1 handle 1"


def wanted(plan: LinkPlan) -> dict[str, str]:
    """Port → the port its frames go out of."""
    pairs = [link.ports for link in plan.links]
    return {one: other for first, second in pairs for one, other in ((first, second), (second, first))}


def targets(ports: Sequence[str], answer: str) -> dict[str, str]:
    """What `tc -json` answered to `filter show dev PORT ingress` for these ports: port → target.

    Ports without redirect are left out; a target that is gone is "*". Raises ValueError if it is no answer
    for all of them (one was unplugged meanwhile).
    """
    lists = [json.loads(line) for line in answer.splitlines() if line]
    if len(lists) != len(ports):
        raise ValueError(f"{len(lists)} answers for {len(ports)} ports")
    found = {}
    for port, filters in zip(ports, lists, strict=True):
        for each in filters:
            for action in each.get("options", {}).get("actions", ()):
                if action.get("kind") == "mirred":
                    found[port] = str(action.get("to_dev"))
    return found


def steps(present: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """The lines for `tc -batch` that bring `present` to `wanted` (both: port → target); [] if they agree."""
    lines = [f"qdisc delete dev {port} clsact" for port in present if port not in wanted]
    for port, target in wanted.items():
        if present.get(port) != target:
            lines.append(f"qdisc replace dev {port} clsact")
            match = f'bpf bytecode "{_EVERYTHING}"'
            lines.append(
                f"filter replace dev {port} {_PLACE} {match} action mirred egress redirect dev {target}"
            )
    return lines


def carry(plan: LinkPlan, ports: Iterable[str]) -> str:
    """Makes the links of `plan` wires, and takes away what else is redirected at `ports`.

    Returns what `tc` complained of, empty if nothing. Links that are wires already are not touched.
    """
    names = list(ports)
    if not names:
        return ""
    answer, complaint = _tc([f"filter show dev {name} ingress" for name in names], "-json")
    try:
        present = targets(names, answer)
    except ValueError as error:
        return complaint or str(error)
    lines = steps(present, wanted(plan))
    return _tc(lines)[1] if lines else ""


def _tc(lines: Iterable[str], *options: str) -> tuple[str, str]:
    """What it printed, and what it complained of; a line that fails does not keep it from the others."""
    try:
        done = subprocess.run(
            ["tc", *options, "-force", "-batch", "-"],
            input="".join(f"{line}\n" for line in lines),
            capture_output=True,
            text=True,
            timeout=_TC_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return "", str(error)
    return done.stdout, " ".join(done.stderr.split())
