"""How Buildroot gets here, and what is said when it does not."""

import subprocess
from pathlib import Path

import pytest

from board.allegro.image import buildroot_source
from board.allegro.image.workshop import BuildError


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    command = ["git", "-C", str(folder), *identity, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that has the pinned release, and one more commit after it."""
    folder = tmp_path / "upstream"
    (folder / "package").mkdir(parents=True)
    git(folder, "init", "--quiet")
    (folder / "package/Makefile.in").write_text("release\n")
    (folder / "Makefile").write_text("export BR2_VERSION := 2026.02.3\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "release")
    git(folder, "tag", "2026.02.3")
    monkeypatch.setattr(buildroot_source, "COMMIT", git(folder, "rev-parse", "HEAD"))
    (folder / "package/Makefile.in").write_text("later\n")
    git(folder, "commit", "--quiet", "--all", "--message", "later")
    return folder


def test_clone_is_the_pinned_commit_and_is_kept(upstream: Path, tmp_path: Path) -> None:
    environment = {"BUILDROOT_URL": str(upstream)}
    found = buildroot_source.find_buildroot(tmp_path / "clone", environment)
    assert (found / "package/Makefile.in").read_text() == "release\n"
    assert git(found, "rev-parse", "HEAD") == buildroot_source.COMMIT
    # the second time nothing is fetched
    gone = {"BUILDROOT_URL": str(tmp_path / "gone")}
    assert buildroot_source.find_buildroot(tmp_path / "clone", gone) == found


def test_unreachable_is_named_with_what_helps(tmp_path: Path) -> None:
    url = str(tmp_path / "nowhere")
    with pytest.raises(BuildError) as caught:
        buildroot_source.find_buildroot(tmp_path / "clone", {"BUILDROOT_URL": url})
    for part in (url, "2026.02.3", "BUILDROOT_URL=", "BUILDROOT_DIR="):
        assert part in str(caught.value)


def test_interrupted_clone_is_taken_up_again(upstream: Path, tmp_path: Path) -> None:
    with pytest.raises(BuildError):
        buildroot_source.find_buildroot(tmp_path / "clone", {"BUILDROOT_URL": str(tmp_path / "nowhere")})
    found = buildroot_source.find_buildroot(tmp_path / "clone", {"BUILDROOT_URL": str(upstream)})
    assert (found / "Makefile").exists()


def test_folder_with_another_commit_is_refused(upstream: Path, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=buildroot_source.COMMIT):
        buildroot_source.find_buildroot(tmp_path, {"BUILDROOT_DIR": str(upstream)})
    git(upstream, "checkout", "--quiet", "2026.02.3")
    assert buildroot_source.find_buildroot(tmp_path, {"BUILDROOT_DIR": str(upstream)}) == upstream


def test_unpacked_release_says_its_version(tmp_path: Path) -> None:
    folder = tmp_path / "unpacked"
    (folder / "package").mkdir(parents=True)
    (folder / "package/Makefile.in").touch()
    (folder / "Makefile").write_text("export BR2_VERSION := 2026.02.3\n")
    assert buildroot_source.find_buildroot(tmp_path, {"BUILDROOT_DIR": str(folder)}) == folder
    (folder / "Makefile").write_text("export BR2_VERSION := 2025.11.3\n")
    with pytest.raises(BuildError, match=r"2025\.11\.3 was found"):
        buildroot_source.find_buildroot(tmp_path, {"BUILDROOT_DIR": str(folder)})


def test_folder_without_buildroot_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="no folder of Buildroot"):
        buildroot_source.find_buildroot(tmp_path, {"BUILDROOT_DIR": str(tmp_path)})
