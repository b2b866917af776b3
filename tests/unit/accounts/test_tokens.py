import json
from pathlib import Path

import pytest

from allegro.accounts.tokens import MOST_TOKENS, TokenStore
from allegro.errors import AllegroError, Conflict, InvalidInput, NotFound, Unavailable

DAY_S = 24 * 3600


class Clock:
    now = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> TokenStore:
    return TokenStore(tmp_path / "tokens.json", clock)


@pytest.mark.spec("W10")
def test_only_the_hash_of_a_token_is_kept_and_it_survives_a_restart(
    store: TokenStore, tmp_path: Path, clock: Clock
) -> None:
    token, text = store.add("backup", "viewer", None)
    kept = (tmp_path / "tokens.json").read_text()
    assert text.rpartition("_")[2] not in kept
    assert text[-43:] not in kept
    assert (tmp_path / "tokens.json").stat().st_mode & 0o777 == 0o600
    found = TokenStore(tmp_path / "tokens.json", clock).verified(text)
    assert found is not None
    assert (found.id, found.name, found.role) == (token.id, "backup", "viewer")


@pytest.mark.spec("W10")
def test_a_token_holds_until_its_end_or_until_it_is_deleted(store: TokenStore, clock: Clock) -> None:
    _, ending = store.add("ending", "admin", 30)
    lasting, text = store.add("lasting", "capture", None)
    clock.now += 30 * DAY_S - 1
    assert store.verified(ending)
    clock.now += 1
    assert store.verified(ending) is None
    assert store.verified(text)
    store.delete(lasting.id)
    assert store.verified(text) is None
    with pytest.raises(NotFound):
        store.delete(lasting.id)


def test_nothing_but_the_whole_token_is_one(store: TokenStore) -> None:
    _, text = store.add("a", "admin", None)
    _, other = store.add("b", "admin", None)
    mixed = text[:-43] + other[-43:]
    for wrong in (
        "",
        text[:-1],
        text + "x",
        " " + text,
        text.upper(),
        mixed,
        "allegro_" + "0" * 12 + "_" + "x" * 43,
    ):
        assert store.verified(wrong) is None, wrong


@pytest.mark.spec("W10")
def test_the_last_use_is_known_and_rarely_written(store: TokenStore, tmp_path: Path, clock: Clock) -> None:
    _, text = store.add("a", "admin", None)
    store.verified(text)
    first = (tmp_path / "tokens.json").read_bytes()
    clock.now += 600
    store.verified(text)
    assert store.all()[0].used_s == clock.now
    assert (tmp_path / "tokens.json").read_bytes() == first
    clock.now += 3600
    store.verified(text)
    assert (tmp_path / "tokens.json").read_bytes() != first


@pytest.mark.parametrize(
    ("name", "role", "days", "error"),
    [
        ("", "admin", None, InvalidInput),
        ("a b", "admin", None, InvalidInput),
        ("a\n", "admin", None, InvalidInput),
        ("x" * 33, "admin", None, InvalidInput),
        ("a", "root", None, InvalidInput),
        ("a", "admin", 0, InvalidInput),
        ("a", "admin", 4000, InvalidInput),
        ("taken", "admin", None, Conflict),
    ],
)
def test_what_cannot_be_is_told(
    store: TokenStore, name: str, role: str, days: int | None, error: type[AllegroError]
) -> None:
    store.add("taken", "viewer", None)
    with pytest.raises(error):
        store.add(name, role, days)
    assert len(store.all()) == 1


def test_there_are_not_too_many(store: TokenStore) -> None:
    for number in range(MOST_TOKENS):
        store.add(f"t{number}", "viewer", None)
    with pytest.raises(Conflict, match="more than"):
        store.add("one-more", "viewer", None)


@pytest.mark.spec("S2")
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\x00", b'{"tokens": 7}'])
def test_a_file_that_makes_no_sense_lets_nobody_in_and_stays(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokens.json"
    path.write_bytes(content)
    store = TokenStore(path)
    assert store.all() == []
    with pytest.raises(Unavailable, match="makes no sense"):
        store.add("a", "admin", None)
    assert path.read_bytes() == content


@pytest.mark.spec("S2", "U7")
@pytest.mark.parametrize("odd", [{}, [], None, "x", {"id": 7}, {"id": "0" * 12, "name": "b", "role": None}])
def test_an_entry_that_is_not_understood_costs_only_itself(
    store: TokenStore, tmp_path: Path, odd: object
) -> None:
    path = tmp_path / "tokens.json"
    _, secret = store.add("a", "viewer", None)
    raw = json.loads(path.read_text())
    path.write_text(json.dumps(raw | {"tokens": [odd, *raw["tokens"]]}))
    again = TokenStore(path)
    assert again.verified(secret) is not None
    assert again.problem == "1 of the API tokens let nobody in with this version of the firmware."
    again.add("c", "viewer", None)
    assert json.loads(path.read_text())["tokens"][-1] == odd


def test_a_role_of_another_version_is_no_token(store: TokenStore, tmp_path: Path) -> None:
    store.add("a", "admin", None)
    path = tmp_path / "tokens.json"
    path.write_text(json.dumps(json.loads(path.read_text())).replace('"admin"', '"superadmin"'))
    assert TokenStore(path).all() == []


@pytest.mark.spec("S2", "U7")
def test_tokens_of_a_newer_version_stay_and_a_damaged_file_gives_way_to_its_copy(
    store: TokenStore, tmp_path: Path
) -> None:
    path = tmp_path / "tokens.json"
    _, secret = store.add("a", "viewer", None)
    raw = json.loads(path.read_text())
    odd = {**raw["tokens"][0], "id": "0" * 12, "name": "b", "role": "operator"}
    raw["tokens"][0]["scope"] = "captures"
    path.write_text(json.dumps({**raw, "schema_version": 2, "tokens": [*raw["tokens"], odd]}))
    newer = TokenStore(path)
    assert newer.problem == "1 of the API tokens let nobody in with this version of the firmware."
    newer.add("c", "viewer", None)
    kept = json.loads(path.read_text())
    assert kept["schema_version"] == 2
    assert kept["tokens"][0]["scope"] == "captures"
    assert kept["tokens"][-1] == odd
    path.write_bytes(b"\x00")
    again = TokenStore(path)
    assert again.problem.endswith("so its last good copy counts.")
    assert again.verified(secret) is not None


@pytest.mark.spec("S2")
@pytest.mark.parametrize(
    "odd",
    [
        *({"created_s": each} for each in (1e300, float("nan"), float("inf"), -1, 253_402_300_799, None)),
        {"ends_s": 1e300},
        {"used_s": float("nan")},
        *({name: "\ud800"} for name in ("id", "name", "sha256")),
    ],
)
def test_an_entry_that_cannot_be_shown_is_left_out_and_stays(
    store: TokenStore, tmp_path: Path, odd: dict[str, object]
) -> None:
    path = tmp_path / "tokens.json"
    store.add("a", "viewer", None)
    (good,) = json.loads(path.read_text())["tokens"]
    path.write_text(json.dumps({"tokens": [good, {**good, "id": "0" * 12, **odd}]}))
    again = TokenStore(path)
    assert [token.name for token in again.all()] == ["a"]
    again.add("c", "viewer", None)
    assert len(json.loads(path.read_text())["tokens"]) == 3
