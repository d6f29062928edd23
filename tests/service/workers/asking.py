"""A worker's program that serves, as it says, asks for a verdict, and does nothing more."""

from __future__ import annotations

import os
import sys
import time

from service.workers.messages import AskVerdict, Serving, encode

if __name__ == "__main__":
    said = encode(Serving(1, "strategy", "model", ())) + encode(AskVerdict(1, "folder", "version"))
    os.write(int(sys.argv[1]), said)
    time.sleep(600)
