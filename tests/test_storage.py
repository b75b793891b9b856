"""A file is replaced in one step: whatever happens, the old one or the new one is there."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from saved_files import child, predict, small

from nncompile import saving
from nncompile.errors import FileFormatError, ModelError
from nncompile.saving import storage

pytestmark = pytest.mark.quick_c


def leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name.endswith(".tmp"))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "m.keras"
    small().save(path)
    return path


def test_order_of_operations(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file reaches the disk before its name does, and the name before we return."""
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def record_fsync(descriptor: int) -> None:
        calls.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def record_replace(source: str, target: str) -> None:
        calls.append("rename")
        assert os.path.dirname(source) == os.path.dirname(target)
        replace(source, target)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "replace", record_replace)
    small().save(saved)
    assert calls == ["file", "rename", "folder"]
    small().save_weights(saved.with_name("m.weights.h5"))
    assert calls == ["file", "rename", "folder"] * 2


@pytest.mark.parametrize("failing", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize("raised", [OSError(errno.ENOSPC, "no space"), KeyboardInterrupt()], ids=["full", "ctrl-c"])
def test_failure_leaves_the_old_file(
    saved: Path, monkeypatch: pytest.MonkeyPatch, failing: str, raised: BaseException
) -> None:
    before = saved.read_bytes()

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise raised

    if failing == "write":

        class Full(io.FileIO):
            def write(self, data: Any) -> int:
                if self.tell() > 1000:
                    raise raised
                return super().write(data[:500])

        monkeypatch.setattr(os, "fdopen", lambda descriptor, mode, buffering: Full(descriptor, mode))
    else:
        monkeypatch.setattr(os, failing, fail)
    model = small()
    with pytest.raises(type(raised)):
        storage.write_file(saved, [b"x" * 5000]) if failing == "open" else model.save(saved)
    monkeypatch.undo()
    assert saved.read_bytes() == before
    assert leftovers(saved.parent) == []
    saving.load_model(saved)


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Short(io.FileIO):
        def write(self, data: Any) -> int:
            return super().write(data[:7])

    monkeypatch.setattr(os, "fdopen", lambda descriptor, mode, buffering: Short(descriptor, mode))
    storage.write_file(tmp_path / "f", [b"a" * 20, bytearray(b"b" * 5), memoryview(b"")])
    assert (tmp_path / "f").read_bytes() == b"a" * 20 + b"b" * 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kill_at_any_moment_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    result = child(
        """
        import os, random, signal, sys, time, warnings
        import numpy as np
        from nncompile import layers, models, saving

        path, rounds = sys.argv[1], 100
        def model(value):
            m = models.Sequential([layers.Input((50,)), layers.Dense(80), layers.Dense(3)])
            m.set_weights([np.full(v.shape, value, "float32") for v in m.weights])
            return m
        old, new = model(0.0), model(1.0)
        old.save(path)
        rng = random.Random(0)
        seen = set()
        start = time.perf_counter(); new.save(path); longest = 2 * (time.perf_counter() - start)
        for _ in range(rounds):
            old.save(path)
            pid = os.fork()
            if pid == 0:
                try:
                    new.save(path)
                finally:
                    os._exit(0)
            time.sleep(rng.random() * longest)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            values = {float(x) for w in saving.load_model(path).get_weights() for x in w.ravel()}
            assert values in ({0.0}, {1.0}), values
            seen |= values
            longest *= 1.1 if values == {0.0} else 0.9  # so that either happens about as often
        print(seen)
        """,
        str(tmp_path / "m.keras"),
    )
    assert result.returncode == 0, result.stderr
    # Both outcomes, or the moments were badly chosen and nothing was tested.
    assert "0.0" in result.stdout
    assert "1.0" in result.stdout


def test_full_disk(saved: Path) -> None:
    before = saved.read_bytes()
    result = child(
        """
        import os, resource, sys
        from nncompile import layers, models
        from nncompile.saving import archive
        path = sys.argv[1]
        m = models.Sequential([layers.Input((100,)), layers.Dense(100)])
        m.save(path + ".warm.keras")  # what is imported late is imported now
        os.unlink(path + ".warm.keras")
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
        for save in (lambda: m.save(path), lambda: m.save_weights(path + ".weights.h5")):
            try:
                save()
            except OSError as error:
                print("OSError", error.errno)
        """,
        str(saved),
    )
    assert result.stdout.split() == ["OSError", str(errno.EFBIG)] * 2, result.stderr
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    # Even the superuser, whom permissions do not stop, cannot create a file here.
    with pytest.raises(OSError, match=r"m\.keras"):
        small().save("/proc/m.keras" if os.path.isdir("/proc/1") else "/dev/null/m.keras")
    with pytest.raises(FileNotFoundError):
        small().save(tmp_path / "missing" / "m.keras")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permissions do not stop the superuser")
def test_read_only_folder(saved: Path) -> None:
    before = saved.read_bytes()
    saved.parent.chmod(0o555)
    try:
        with pytest.raises(PermissionError):
            small().save(saved)
    finally:
        saved.parent.chmod(0o755)
    assert saved.read_bytes() == before


def test_overwrite(saved: Path) -> None:
    before = saved.read_bytes()
    with pytest.raises(ModelError, match="exists"):
        small().save(saved, overwrite=False)
    assert saved.read_bytes() == before
    small().save_weights(saved.with_name("w.weights.h5"), overwrite=False)
    with pytest.raises(ModelError, match="exists"):
        small().save_weights(saved.with_name("w.weights.h5"), overwrite=False)


@pytest.mark.skipif(os.name != "posix", reason="POSIX files")
def test_links_permissions_and_special_files(saved: Path) -> None:
    link = saved.with_name("link.keras")
    link.symlink_to(saved.name)
    saved.chmod(0o640)
    model = small()
    model.save(link)
    assert link.is_symlink()
    assert stat.S_IMODE(saved.stat().st_mode) == 0o640
    np.testing.assert_array_equal(predict(saving.load_model(saved)), predict(model))
    pipe, folder = saved.with_name("pipe.keras"), saved.with_name("folder.keras")
    os.mkfifo(pipe)
    folder.mkdir()
    for path in (pipe, folder):
        with pytest.raises(ModelError):
            model.save(path)
        with pytest.raises(FileFormatError):
            saving.load_model(path)
    with pytest.raises(FileFormatError):
        saving.load_model("/dev/zero")
    umask = os.umask(0o027)
    try:
        model.save(saved.with_name("new.keras"))
    finally:
        os.umask(umask)
    assert stat.S_IMODE(saved.with_name("new.keras").stat().st_mode) == 0o640
    long = saved.with_name("x" * 240 + ".keras")
    model.save(long)
    saving.load_model(long)
