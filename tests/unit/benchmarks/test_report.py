from __future__ import annotations

from benchmarks import report
from benchmarks.contestants import ALLEGRO, UNINDEXED
from benchmarks.measuring import Run


def run(program: str, asked: int | None, rate: float, stored: int = 1000, processor_s: float = 0.001) -> Run:
    return Run(program, 512, asked, rate, 1000, stored, stored * 600, processor_s)


def test_the_median_run_decides_about_loss() -> None:
    runs = [run("tcpdump", None, 5e5, stored) for stored in (1000, 1000, 400)]
    (line,) = report.lines(runs)
    assert (line.lost_percent, line.lost_worst_percent, line.repeats) == (0.0, 60.0, 3)
    assert line.bytes_per_packet == 600


def test_the_highest_rate_without_loss_is_taken_and_the_cost_at_the_highest_offered_rate() -> None:
    runs = [
        run("tcpdump", 100, 1e5, processor_s=0.5),
        run("tcpdump", 200, 2e5, processor_s=0.4),
        run("tcpdump", None, 9e5, stored=999, processor_s=0.2997),
    ]
    (summary,) = report.summaries(report.lines(runs))
    assert (summary.loss_free_rate, summary.unlimited) == (2e5, False)
    assert round(summary.processor_s_per_million) == 300


def test_the_table_compares_with_the_best_peer_but_not_with_one_without_index() -> None:
    runs = [
        run(ALLEGRO, None, 8e5, processor_s=0.0001),
        run("tcpdump", None, 4e5, processor_s=0.001),
        run("dumpcap", None, 2e5, processor_s=0.0005),
        run(UNINDEXED, None, 9e5, processor_s=0.00001),
    ]
    last = report.text(runs, ["note"]).split("## Against the best peer")[1]
    assert "| 512 | 800,000 | tcpdump 400,000 | ~2.00 | 0.100 | dumpcap 0.500 | 0.20 | 0.02 |" in last


def test_a_rate_that_the_peer_could_not_keep_is_its_own() -> None:
    runs = [
        run(ALLEGRO, None, 8e5),
        run("tcpdump", 100, 4e5, processor_s=0.001),
        run("tcpdump", None, 8e5, stored=900),
    ]
    assert "| tcpdump 400,000 | 2.00 |" in report.text(runs, [])
