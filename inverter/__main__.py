"""`python -m inverter`: the command `inverter`.

Importing this package has imported torch, and threads decide how they wait before that. So the process starts the
command line anew, with the interpreter's own options, where the operating system can replace a process.
"""

import os
import runpy
import sys

COMMAND = "recipes.cli"

if __name__ == "__main__":
    given = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1]  # python, its options, -m inverter
    if os.name == "posix" and given[-1].endswith("inverter"):
        head = [*given[1:-1], given[-1].removesuffix("inverter") + COMMAND]
        os.execv(sys.executable, [sys.executable, *head, *sys.argv[1:]])
    runpy.run_module(COMMAND, run_name="__main__", alter_sys=True)
