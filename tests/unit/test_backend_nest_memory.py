"""Control groups: the files of both versions, read and written."""

from pathlib import Path

from headrace_adapters.backends.nest_memory import V1, V2, Group, count_in, homes_in, mounts_in

MOUNTS = """\
23 1 8:1 / / rw - ext4 /dev/root rw
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
35 31 0:32 /docker/abc /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
"""


def test_the_mounts_of_memory_groups_are_found() -> None:
    assert mounts_in(MOUNTS) == {
        "v1": ("/docker/abc", "/sys/fs/cgroup/memory"),
        "v2": ("/", "/sys/fs/cgroup/unified"),
    }


def test_the_own_group_is_found() -> None:
    text = "8:pids:/p\n4:memory:/docker/abc\n0::/user.slice/a:b\n"
    assert homes_in(text) == {"v1": "/docker/abc", "v2": "/user.slice/a:b"}


def test_oom_kills_are_counted_in_both_versions() -> None:
    assert count_in("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", "oom_kill") == 2
    assert count_in("low 0\nmax 9\noom 1\noom_kill 1\noom_group_kill 0\n", "oom_kill") == 1
    assert count_in("", "oom_kill") == 0


def test_files_that_are_only_cached_are_no_use_of_memory(tmp_path: Path) -> None:
    stat = "cache 5\ninactive_file 30\ntotal_inactive_file 40\n"
    for dialect, used in ((V1, 60), (V2, 70)):
        folder = tmp_path / dialect.name
        folder.mkdir()
        assert Group(str(folder), dialect, "/home").used_bytes() is None
        (folder / dialect.used).write_text("100\n")
        (folder / "memory.stat").write_text(stat)
        assert Group(str(folder), dialect, "/home").used_bytes() == used


def test_a_limit_forbids_swap_in_the_words_of_each_version(tmp_path: Path) -> None:
    for dialect, swap in ((V1, "1000"), (V2, "0")):
        folder = tmp_path / dialect.name
        folder.mkdir()
        (folder / dialect.limit).touch()
        (folder / dialect.swap).touch()
        assert Group(str(folder), dialect, "/home").limit(1000)
        assert (folder / dialect.limit).read_text() == "1000"
        assert (folder / dialect.swap).read_text() == swap


def test_a_limit_that_the_kernel_refuses_is_told(tmp_path: Path) -> None:
    assert not Group(str(tmp_path), V1, "/home").limit(1000)


def test_a_group_that_tells_nothing_has_used_nothing(tmp_path: Path) -> None:
    group = Group(str(tmp_path), V2, "/home")
    assert (group.oom_kills(), group.peak_bytes(), group.pids()) == (0, 0, frozenset())
