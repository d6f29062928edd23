"""A worker's program that serves, as it says, beats, and does not leave when it is told to."""

from __future__ import annotations

import os
import sys
import time

from service.workers.messages import Beat, Serving, encode

if __name__ == "__main__":
    os.write(int(sys.argv[1]), encode(Serving(1, "strategy", "model", ())))
    while True:
        os.write(int(sys.argv[1]), encode(Beat()))
        time.sleep(0.2)
