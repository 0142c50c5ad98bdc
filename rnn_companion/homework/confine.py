"""What a process gives up before it runs what a stranger wrote (Linux).

Called inside bubblewrap's sandbox, in a fork of the warm kernel: one submission
must not reach the next, nor the process it was forked from. Namespaces of its own
hide the others, seccomp takes away new processes and programs (for root as well,
which limits of the shell do not), resource limits cap the rest.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
from pathlib import Path

MEGABYTE = 2**20

_NEWNS, _NEWUSER, _NEWPID, _NEWIPC = 0x20000, 0x10000000, 0x20000000, 0x8000000
_NOSUID, _NODEV, _NOEXEC = 2, 4, 8
_SET_SECCOMP, _SECCOMP_FILTER, _NO_NEW_PRIVS = 22, 2, 38
_CAPABILITY_VERSION_3 = 0x20080522

# By machine: what the kernel calls it, then system calls by number.
_MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE3 = 435
_DENIED = {
    "x86_64": {
        "fork": 57,
        "vfork": 58,
        "execve": 59,
        "execveat": 322,
        "ptrace": 101,
        "socket": 41,
        "mount": 165,
        "umount2": 166,
        "pivot_root": 155,
        "chroot": 161,
        "unshare": 272,
        "setns": 308,
        "bpf": 321,
        "add_key": 248,
        "request_key": 249,
        "keyctl": 250,
        "perf_event_open": 298,
        "userfaultfd": 323,
        "process_vm_readv": 310,
        "process_vm_writev": 311,
        "io_uring_setup": 425,
        "open_by_handle_at": 304,
    },
    "aarch64": {
        "execve": 221,
        "execveat": 281,
        "ptrace": 117,
        "socket": 198,
        "mount": 40,
        "umount2": 39,
        "pivot_root": 41,
        "chroot": 51,
        "unshare": 97,
        "setns": 268,
        "bpf": 280,
        "add_key": 217,
        "request_key": 218,
        "keyctl": 219,
        "perf_event_open": 241,
        "userfaultfd": 282,
        "process_vm_readv": 270,
        "process_vm_writev": 271,
        "io_uring_setup": 425,
        "open_by_handle_at": 265,
    },
}


def own_namespaces() -> None:
    """Give the children of this process their own processes and users.

    Raises
    ------
    OSError
        If the kernel refuses.
    """
    user, group = os.getuid(), os.getgid()
    _call("unshare", _NEWUSER | _NEWPID)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def own_files(megabytes: int) -> None:
    """Have an empty folder for files of this process alone, and no view of others.

    Parameters
    ----------
    megabytes : int
        What fits into it.

    Raises
    ------
    OSError
        If the kernel refuses.
    """
    _call("unshare", _NEWNS | _NEWIPC)
    scratch = os.environ["TMPDIR"]
    for folder, size in (scratch, megabytes), ("/dev/shm", 16), ("/proc", 1):
        options = f"size={size}m,mode=0777".encode()
        flags = _NOSUID | _NODEV | _NOEXEC
        _call("mount", b"tmpfs", folder.encode(), b"tmpfs", flags, options)
    os.chdir(scratch)


def limit(memory: int, files: int) -> None:
    """Cap memory above what is in use now, and the size of files, in megabytes."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    for kind, most in (
        (resource.RLIMIT_AS, used + memory * MEGABYTE),
        (resource.RLIMIT_FSIZE, files * MEGABYTE),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def lock() -> None:
    """Give up all capabilities, new processes, new programs and the network.

    Raises
    ------
    OSError
        If the kernel refuses, or the machine is of a kind not known here.
    """
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    _call("capset", header, bytes(24))
    _call("prctl", _NO_NEW_PRIVS, 1, 0, 0, 0)
    program = _filter(platform.machine())
    buffer = ctypes.create_string_buffer(program, len(program))
    count, address = len(program) // 8, ctypes.addressof(buffer)
    _call(
        "prctl", _SET_SECCOMP, _SECCOMP_FILTER, struct.pack("HxxxxxxQ", count, address)
    )


def _filter(machine: str) -> bytes:
    """Write the seccomp program: threads may start, processes may not."""
    if machine not in _MACHINES:
        raise OSError(errno.ENOSYS, f"no sandbox for machines of kind {machine}")
    load, equal, greater, bits, answer = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, refuse, kill = 0x7FFF0000, 0x00050000, 0x80000000

    def deny(number: int, error: int = errno.EPERM) -> list[tuple[int, int, int, int]]:
        return [(equal, 0, 1, number), (answer, 0, 0, refuse | error)]

    steps = [
        (load, 0, 0, 4),  # the machine
        (equal, 1, 0, _MACHINES[machine]),
        (answer, 0, 0, kill),
        (load, 0, 0, 0),  # the system call's number
        (greater, 0, 1, 0x40000000),
        (answer, 0, 0, refuse | errno.EPERM),
        *deny(_CLONE3, errno.ENOSYS),  # then libraries fall back on clone
        *(step for number in _DENIED[machine].values() for step in deny(number)),
        (equal, 0, 3, _CLONE[machine]),
        (load, 0, 0, 16),  # its flags
        (bits, 1, 0, 0x10000),  # CLONE_THREAD
        (answer, 0, 0, refuse | errno.EPERM),
        (answer, 0, 0, allow),
    ]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def _call(name: str, *arguments: int | bytes) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
