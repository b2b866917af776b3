"""Cut the power at random moments, and see what becomes of the device (`make powercut`).

Needs the image (`make vm`) and root. Figures go to build/powercut/report.md; disks of failed cuts stay there.
"""

import argparse
import shutil
import sys
import time

from scripts.bench import Progress, require_host, run_main
from tests.harness import booted, powercut
from tests.harness.errors import BenchError
from tests.harness.powercut_scenarios import SCENARIOS
from tests.harness.qemu import REPOSITORY, Configuration

DIRECTORY = REPOSITORY / "build" / "powercut"


def main() -> None:
    """Run the scenarios that were asked for; raises BenchError if a cut left something wrong."""
    names = [scenario.name for scenario in SCENARIOS]
    parser = argparse.ArgumentParser(prog="powercut", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=10, help="cuts in each scenario (%(default)s)")
    parser.add_argument("--seed", type=int, help="finds the same moments again; without it by the time")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(names) + "; default: all")
    options = parser.parse_args()
    if unknown := set(options.scenarios) - set(names):
        raise BenchError(f"There is no scenario {', '.join(sorted(unknown))}. There are: {', '.join(names)}.")
    require_host()
    seed = int(time.time()) if options.seed is None else options.seed
    say = Progress()
    say(f"seed {seed}")
    saved = booted.ready(Configuration(), DIRECTORY / "saved-state", lambda: say("starting the device once"))
    results = []
    for scenario in SCENARIOS:
        if scenario.name in (options.scenarios or names):
            directory = DIRECTORY / scenario.name.replace(" ", "-")
            shutil.rmtree(directory, ignore_errors=True)
            results.append(powercut.run(scenario, options.count, seed, directory, saved, say))
    report = powercut.summary(results)
    (DIRECTORY / "report.md").write_text(f"Seed {seed}.\n\n{report}\n")
    print(report)
    failures = [failure for result in results for failure in result.failures]
    if failures:
        raise BenchError(f"{len(failures)} cuts left something wrong:\n" + "\n".join(failures))


if __name__ == "__main__":
    sys.exit(run_main(main, DIRECTORY / "logs"))
