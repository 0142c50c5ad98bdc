"""What a process gives up before it runs what a student wrote (Linux).

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
_CAPABILITY_VERSION_3 = 0x20080522
_CLONE_THREAD = 0x10000

# Of <seccomp.h>: actions, and the comparison of an argument's bits.
_ALLOW, _REFUSE, _MASKED_EQUAL = 0x7FFF0000, 0x00050000, 7
_DENIED = """
fork vfork execve execveat ptrace socket mount umount2 pivot_root chroot unshare setns
bpf add_key request_key keyctl perf_event_open userfaultfd process_vm_readv
process_vm_writev io_uring_setup open_by_handle_at
"""


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
    """Give this process an empty folder of its own, and hide the files of others.

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

    Threads may start, processes may not. A filter cannot read the flags of
    ``clone3``, so that call is answered as unknown, and libraries use ``clone``.
    Loading the filter also forbids new privileges.

    Raises
    ------
    OSError
        If the kernel refuses, libseccomp is missing, or the machine is unknown here.
    """
    if platform.machine() not in ("x86_64", "aarch64"):  # elsewhere clone may differ
        raise OSError(errno.ENOSYS, f"no sandbox for a {platform.machine()}")
    _call("capset", struct.pack("Ii", _CAPABILITY_VERSION_3, 0), bytes(24))
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    rules = ctypes.c_void_p(seccomp.seccomp_init(_ALLOW))

    def refuse(name: str, error: int, count: int = 0, condition: bytes = b"") -> None:
        call = seccomp.seccomp_syscall_resolve_name(name.encode())
        arguments = (rules, _REFUSE | error, call, count, condition)
        _checked(name, -seccomp.seccomp_rule_add_array(*arguments))

    for name in _DENIED.split():
        refuse(name, errno.EPERM)
    refuse("clone3", errno.ENOSYS)
    no_thread = struct.pack("IiQQ", 0, _MASKED_EQUAL, _CLONE_THREAD, 0)  # argument 0
    refuse("clone", errno.EPERM, 1, no_thread)
    _checked("seccomp_load", -seccomp.seccomp_load(rules))


def _call(name: str, *arguments: int | bytes) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments):
        _checked(name, ctypes.get_errno())


def _checked(name: str, error: int) -> None:
    if error:
        raise OSError(error, f"{name}: {os.strerror(error)}")
