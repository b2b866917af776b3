from benchmarks.bridge import BARE, LINK, RECORDED, Passed, text


def test_medians_as_parts_of_the_bare_bridge() -> None:
    found = [
        *(Passed(BARE, 64, rate, 0) for rate in (900.0, 1000.0, 2000.0)),
        *(Passed(LINK, 64, rate, 0) for rate in (950.0, 990.0, 980.0)),
        *(Passed(RECORDED, 64, rate, 5) for rate in (910.0, 890.0, 900.0)),
    ]
    lines = text(found).splitlines()
    assert "| 64 | bare kernel bridge | 1,000 | 1.00 | 0 |" in lines
    assert "| 64 | allegro link | 980 | 0.98 | 0 |" in lines
    assert "| 64 | allegro link, recorded | 900 | 0.90 | 15 |" in lines
