"""Cut the power at random moments, and see what becomes of the device (`make powercut`).

Needs the image (`make vm`, or one named by ALLEGRO_IMAGE) and root. Figures go to build/powercut/report.md;
disks of failed cuts stay there.
"""

import argparse
import datetime
import hashlib
import math
import shutil
import sys
import time
from collections.abc import Sequence

from scripts.bench import Progress, require_host, run_main
from tests.harness import booted, powercut, situations
from tests.harness.bench_errors import BenchError
from tests.harness.powercut_scenarios import SCENARIOS
from tests.harness.qemu import IMAGE, REPOSITORY, Configuration

DIRECTORY = REPOSITORY / "build" / "powercut"


def main() -> None:
    """Run the scenarios that were asked for; raises BenchError if a cut left something wrong."""
    names = [scenario.name for scenario in SCENARIOS]
    parser = argparse.ArgumentParser(prog="powercut", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--count", type=int, default=100, help="cuts in an installation; in others a fifth (%(default)s)"
    )
    parser.add_argument("--jobs", type=int, default=2, help="machines at a time (%(default)s)")
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
            count = math.ceil(options.count * scenario.share)
            begin = situations.state(scenario.situation, saved, DIRECTORY / "situation")
            results.append(powercut.run(scenario, count, seed, directory, begin, say, options.jobs))
            (DIRECTORY / "report.md").write_text(_report(seed, results))
    print(powercut.summary(results))
    failures = [failure for result in results for failure in result.failures]
    if failures:
        raise BenchError(f"{len(failures)} cuts left something wrong:\n" + "\n".join(failures))


def _report(seed: int, results: Sequence[powercut.Result]) -> str:
    today = datetime.datetime.now(datetime.UTC).date()
    manifest = IMAGE.with_name("manifest.txt").read_text()
    with IMAGE.open("rb") as image:
        checksum = hashlib.file_digest(image, "sha256").hexdigest()
    head = f"{today}, {manifest.splitlines()[0]}, SHA-256 {checksum}, seed {seed}."
    return f"{head}\n\n{powercut.summary(results)}\n"


if __name__ == "__main__":
    sys.exit(run_main(main, DIRECTORY / "logs"))
