"""A program that answers each line of JSON with one: `python -m tests.service.answering`."""

from __future__ import annotations

import json
import os
import sys
import time


def main() -> None:
    """Answer with this process's id, refuse, end, break off, or take too long, as asked."""
    for line in sys.stdin:
        match json.loads(line):
            case "end":
                sys.exit(3)
            case "refuse":
                answer: dict[str, object] = {"error": "It is refused."}
            case "half":
                sys.stdout.write('{"pid": 1')
                sys.stdout.flush()
                os._exit(3)
            case "dawdle":
                time.sleep(60)
                answer = {}
            case question:
                answer = {"pid": os.getpid(), "question": question}
        sys.stdout.write(f"{json.dumps(answer)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
