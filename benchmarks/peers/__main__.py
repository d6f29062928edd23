"""Install the peers that are not there: `python -m benchmarks.peers [NAME…]`. See benchmarks/README.md."""

from __future__ import annotations

import sys

from benchmarks.peers import environment


def main(names: list[str]) -> int:
    """Install the named peers, or all; return 1 where one does not install, with the reason."""
    known = environment.names()
    if unknown := [name for name in names if name not in known]:
        print(f"there is no peer '{unknown[0]}'; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    failed = 0
    for name in names or known:
        try:
            print(f"{name}: {environment.install(name, print)}")
        except environment.NotInstalled as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
