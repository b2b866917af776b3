"""Which worker gets which tests, where they run side by side (pytest-xdist).

A virtual machine takes a processor, but often waits. So `--machines N` lets N workers start machines, and
what needs none is run beside them, by the others.
"""

from collections.abc import Iterable

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

_MACHINES = "tests/vm/"


def share_of(test: str) -> str:
    """What is given away together: the tests of a file, as they share what they need.

    Only those with a machine of their own each are given away one by one.
    """
    return test if test.startswith(_MACHINES) else test.partition("::")[0]


def next_share(waiting: Iterable[str], *, machines: bool) -> str | None:
    """What a worker gets of the shares that wait, by their order; None: nothing is left for it.

    `machines`: whether it may start any; then they come first.
    """
    shares = list(waiting)
    rest = [share for share in shares if not share.startswith(_MACHINES)]
    first = [share for share in shares if share.startswith(_MACHINES)] if machines else []
    return next(iter(first + rest), None)


class Shares(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Gives the shares away, each worker one more than it has begun, so that all end together."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        super().__init__(config, log)
        self._machines: int | None = config.getoption("machines")

    def _split_scope(self, nodeid: str) -> str:
        return share_of(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if self._machines is not None:
            share = next_share(self.workqueue, machines=self.nodes.index(node) < self._machines)
            if share is None:
                node.shutdown()
                return
            self.workqueue.move_to_end(share, last=False)
        super()._assign_work_unit(node)

    def _reschedule(self, node: WorkerController) -> None:
        if self._pending_of(self.assigned_work[node]) < 2:
            super()._reschedule(node)
