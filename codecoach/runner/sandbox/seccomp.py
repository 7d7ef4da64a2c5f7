"""The system calls a sandboxed program may not make, as a filter that bubblewrap loads.

Everything else is allowed: the namespaces, limits and read-only mounts do most of the work, this closes what they leave open.
"""

import errno
import tempfile
from contextlib import suppress
from functools import cache

import pyseccomp as seccomp

# Privileged calls and the kernel's rarely used surface; programs here never need them.
_FORBIDDEN = """
    ptrace process_vm_readv process_vm_writev pidfd_getfd kcmp
    mount umount umount2 pivot_root chroot setns unshare open_tree move_mount fsopen fsconfig fsmount fspick mount_setattr
    bpf perf_event_open userfaultfd keyctl add_key request_key
    kexec_load kexec_file_load init_module finit_module delete_module swapon swapoff reboot acct quotactl quotactl_fd syslog
    settimeofday stime clock_settime clock_adjtime adjtimex iopl ioperm modify_ldt vhangup nfsservctl lookup_dcookie
    open_by_handle_at name_to_handle_at fanotify_init sethostname setdomainname migrate_pages move_pages
"""
# Answered as "not in this kernel", so that programs fall back: io_uring and clone3 hide their arguments from filters,
# the others are memory or watches that no limit of a sandbox counts.
_MISSING = """
    io_uring_setup io_uring_enter io_uring_register clone3 memfd_secret memfd_create
    shmget inotify_init inotify_init1
"""
_NAMESPACE_FLAGS = (0x00000080, 0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_LOW_32_BITS = 0xFFFFFFFF


@cache
def program() -> bytes:
    """The filter as a cBPF program for this machine's architecture."""
    rules = seccomp.SyscallFilter(seccomp.ALLOW)
    for names, code in ((_FORBIDDEN, errno.EPERM), (_MISSING, errno.ENOSYS)):
        for name in names.split():
            _deny(rules, name, code)
    for flag in _NAMESPACE_FLAGS:
        _deny(rules, "clone", errno.EPERM, seccomp.Arg(0, seccomp.MASKED_EQ, flag, flag))
    # The kernel looks at the low half of a request only, so the filter must too.
    for request in (_TIOCSTI, _TIOCLINUX):
        _deny(rules, "ioctl", errno.EPERM, seccomp.Arg(1, seccomp.MASKED_EQ, _LOW_32_BITS, request))
    _restrict_sockets(rules)
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


def _restrict_sockets(rules: seccomp.SyscallFilter) -> None:
    """Unix, IPv4, IPv6 and routing netlink only: other families (vsock!) leave the network namespace."""
    allowed = (_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK)
    for family in set(range(_AF_NETLINK)) - set(allowed):
        _deny(rules, "socket", errno.EAFNOSUPPORT, seccomp.Arg(0, seccomp.EQ, family))
    _deny(rules, "socket", errno.EAFNOSUPPORT, seccomp.Arg(0, seccomp.GT, _AF_NETLINK))
    _deny(rules, "socket", errno.EAFNOSUPPORT, seccomp.Arg(0, seccomp.EQ, _AF_NETLINK), seccomp.Arg(2, seccomp.NE, 0))
    _deny(rules, "socketpair", errno.EAFNOSUPPORT, seccomp.Arg(0, seccomp.NE, _AF_UNIX))


def _deny(rules: seccomp.SyscallFilter, name: str, code: int, *arguments: seccomp.Arg) -> None:
    # A call that this architecture or this libseccomp does not know cannot be made by that name either.
    with suppress(OSError, ValueError):
        rules.add_rule(seccomp.ERRNO(code), name, *arguments)
