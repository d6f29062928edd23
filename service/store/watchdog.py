"""Run one server for one owner, and end it when the owner ends, however the owner ends.

Started as a script by `service.store.embedded`: `python -I -S watchdog.py OWNER_PID GRACE_S SERVER ARGS…`.
The owner holds the other end of standard input. A byte from it, or its end, means stop: the kernel closes a pipe for a
process that dies in any way, kill -9 included, on every Unix. The server's process id goes to standard output.
Only what starts in a few milliseconds is imported.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
POLL_S = 0.25  # a forked copy of the owner can hold the pipe open; then a new parent gives the owner's death away
REWRITES_AT = 10  # how nice a child is that rewrites the server's file: a tenth of what the server gets of a busy core


def main(arguments: list[str]) -> int:
    """Start the server, tell its process id, and return only when no process of it is left."""
    owner, grace_s, command = int(arguments[0]), float(arguments[1]), arguments[2:]
    bell = child_bell()
    server = start(command)
    # Who stops everything at once with SIGTERM or Ctrl-C stops the owner, and the owner ends this one in order.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.write(sys.stdout.fileno(), b"%d\n" % server)
    if not ends_by_itself(server, owner, bell):
        end(server, grace_s)
    clear(server)
    return 0


def child_bell() -> int:
    """Return a descriptor that becomes readable when the server ends, stops or goes on."""
    listen, ring = os.pipe()
    os.set_blocking(ring, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
    return listen


def start(command: list[str]) -> int:
    """Fork and execute the server in a process group of its own; return its process id."""
    watchdog = os.getpid()
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    server = os.fork()
    if server == 0:
        try:
            become(command, watchdog, libc)
        finally:
            os._exit(127)
    return server


def become(command: list[str], watchdog: int, libc: ctypes.CDLL | None) -> None:
    """Turn this forked child into the server; it writes to the watchdog's standard error and reads nothing."""
    os.setpgid(0, 0)
    os.umask(0o077)
    if libc is not None:
        # Bound to the thread that forks, which is safe here and only here: the watchdog has one thread.
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != watchdog:
            return
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    try:
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(2, f"cannot execute {command[0]}: {error.strerror}\n".encode())


def ends_by_itself(server: int, owner: int, bell: int) -> bool:
    """Wait until the server has ended, then True, or the owner asks for its end or is gone, then False."""
    while os.getppid() == owner:
        ready = select.select([0, bell], [], [], POLL_S)[0]
        if bell in ready:
            os.read(bell, 64)
            if reap(server):
                return True
        if 0 in ready:
            return False
        make_way(server)
    return False


def make_way(server: int) -> None:
    """Have what the server forks, to rewrite its file, run behind the server; only Linux tells of it."""
    try:
        with open(f"/proc/{server}/task/{server}/children", encoding="ascii") as listed:
            children = [int(child) for child in listed.read().split()]
    except OSError:
        return
    for child in children:
        try:
            if os.getpriority(os.PRIO_PROCESS, child) < REWRITES_AT:
                os.setpriority(os.PRIO_PROCESS, child, REWRITES_AT)
        except OSError:
            continue  # it has ended meanwhile


def end(server: int, grace_s: float) -> None:
    """Ask the server to write its data and go; kill it when the grace is over."""
    os.kill(server, signal.SIGTERM)
    gives_up = time.monotonic() + grace_s
    while not reap(server):
        if time.monotonic() > gives_up:
            os.kill(server, signal.SIGKILL)
            os.waitpid(server, 0)
            return
        time.sleep(0.005)


def clear(server: int) -> None:
    """Kill what is left of the server's group: the child that was rewriting its append-only file."""
    try:
        os.killpg(server, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # nobody is left in the group; macOS says so with the second


def reap(server: int) -> bool:
    """Tell whether the server has ended, and take its exit status if so."""
    return os.waitpid(server, os.WNOHANG)[0] == server


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
