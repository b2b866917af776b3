from benchmarks.bridge import BARE, LINK, RECORDED, UNFILTERED, Passed, text


def test_each_round_is_compared_with_its_own_bare_bridge() -> None:
    found = [
        *(Passed(BARE, 64, rate, 0) for rate in (900.0, 1000.0, 2000.0)),
        *(Passed(UNFILTERED, 64, rate, 0) for rate in (900.0, 1000.0, 2000.0)),
        *(Passed(LINK, 64, rate, 0) for rate in (945.0, 990.0, 980.0)),
        *(Passed(RECORDED, 64, rate, 5) for rate in (909.0, 890.0, 900.0)),
    ]
    lines = text(found).splitlines()
    assert "| 64 | bare kernel bridge | 1,000 | 1.00 (1.00 to 1.00) | 0 |" in lines
    assert "| 64 | allegro link | 980 | 0.99 (0.49 to 1.05) | 0 |" in lines
    assert "| 64 | allegro link, recorded | 900 | 0.89 (0.45 to 1.01) | 15 |" in lines
