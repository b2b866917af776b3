"""What is wrong with the device at the moment, in plain words with what to do. One rule = one function.

A rule looks at the facts and answers with the problems it sees. No I/O: the supervisor gathers the facts.
"""

from allegro.system import device_problems, recording_problems, storage_problems
from allegro.system.health import Facts, Problem, Rule

RULES: tuple[Rule, ...] = (
    storage_problems.data_unusable,
    *recording_problems.RULES,
    *storage_problems.RULES,
    *device_problems.RULES,
)


def problems(facts: Facts) -> list[Problem]:
    """All problems that the rules see, the worst first."""
    found = [problem for rule in RULES for problem in rule(facts)]
    return sorted(found, key=lambda problem: problem.severity != "error")
