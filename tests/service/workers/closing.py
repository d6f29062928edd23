"""A worker's program that hangs up on its supervisor, and goes on."""

from __future__ import annotations

import os
import sys
import time

if __name__ == "__main__":
    os.close(int(sys.argv[1]))
    time.sleep(600)
