from allegro.web.history import KEPT, History


def test_ports_come_and_go_and_old_samples_are_forgotten() -> None:
    history = History()
    history.add(1.0, {"ports": [{"name": "port2", "bytes_per_s": 1.0}]})
    history.gap(3.0)
    ports = [{"name": name, "bytes_per_s": 2.0} for name in ("port10", "port2")]
    history.add(5.04, {"ports": ports})
    assert history.series() == {
        "times": [1.0, 3.0, 5.0],
        "ports": [
            {"name": "port2", "bits_per_s": [8, None, 16]},
            {"name": "port10", "bits_per_s": [None, None, 16]},
        ],
    }
    for number in range(KEPT):
        history.gap(10.0 + number)
    assert history.series()["ports"] == []
