"""Only a directory that nobody else can reach into is used."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tamago.cluster.private_dir import DirectoryError, UnsafeDirectoryError, open_private

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make another user's files")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_missing_is_made_for_us_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        os.close(open_private(tmp_path / "a" / "b", create=True))
    finally:
        os.umask(before)
    assert (mode_of(tmp_path / "a"), mode_of(tmp_path / "a" / "b")) == (0o700, 0o700)


def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    os.close(open_private(tmp_path / "logs", create=True, mode=0o750))
    assert mode_of(tmp_path / "logs") == 0o750


def test_nothing_is_made_unless_asked(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_private(tmp_path / "a", create=False)


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o755, 0o701])
def test_a_directory_others_reach_into_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a").chmod(mode)
    with pytest.raises(UnsafeDirectoryError, match="chmod 0700"):
        open_private(tmp_path / "a", create=True)


def test_readable_by_others_can_be_allowed_writable_cannot(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o755)
    os.close(open_private(tmp_path / "a", create=True, allowed=0o755))
    (tmp_path / "a").chmod(0o775)
    with pytest.raises(UnsafeDirectoryError):
        open_private(tmp_path / "a", create=True, allowed=0o777)


def test_a_link_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "a").symlink_to(tmp_path / "real")
    with pytest.raises(UnsafeDirectoryError, match="symbolic link"):
        open_private(tmp_path / "a", create=True)


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(DirectoryError, match="not a directory"):
        open_private(tmp_path / "a", create=True)


def test_a_parent_everybody_can_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(UnsafeDirectoryError, match="everybody can write"):
        open_private(tmp_path / "open" / "a", create=True)


@AS_ROOT
def test_a_directory_of_another_user_is_refused_and_so_is_one_below_it(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o700)
    os.chown(tmp_path / "a", 12345, -1)
    with pytest.raises(UnsafeDirectoryError, match="belongs to user 12345"):
        open_private(tmp_path / "a", create=True)
    with pytest.raises(UnsafeDirectoryError, match="above it belongs to user 12345"):
        open_private(tmp_path / "a" / "b", create=True)
