"""A few power cuts of each kind, with what the disk had not flushed lost; `make powercut` makes many."""

from pathlib import Path

import pytest

from tests.harness import powercut, situations
from tests.harness.powercut import Scenario
from tests.harness.powercut_scenarios import SCENARIOS
from tests.harness.qemu import SavedState

# A start takes a minute without acceleration, and a factory reset means two of them.
CUTS = {
    "installation": 2,
    "activation": 1,
    "settings write": 2,
    "configuration reset": 2,
    "factory reset": 1,
    "first boot": 1,
}
SEED = 20261122


@pytest.mark.spec("U3")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_cut_leaves_a_device_that_starts_with_old_or_new(
    scenario: Scenario, saved_state: SavedState, tmp_path: Path, report: Path
) -> None:
    begin = situations.state(scenario.situation, saved_state, report / "situation")
    result = powercut.run(scenario, CUTS[scenario.name], SEED, tmp_path, begin)
    (report / "cuts.md").write_text(powercut.summary([result]) + "\n")
    assert result.failures == []
    assert result.outcomes.total() == CUTS[scenario.name]
