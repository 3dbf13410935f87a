"""Programs side by side on one SDK: each is a process of its own, forked after the SDK was imported once.

    python -m rig.forks signalwire.relay

reads one JSON object a line (``argv``, ``out``, ``errors``) and runs ``argv`` as ``python argv...`` would, with what it
writes in those files; the last line of ``out`` is ``exit`` and its status. Ends its programs when its input ends.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import signal
import sys
import traceback


def run(argv: list[str], out: str, errors: str) -> int:
    """In the child: be this program."""
    for number, path in ((1, out), (2, errors)):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.argv = argv
    try:
        runpy.run_path(argv[0], run_name="__main__")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    importlib.import_module(sys.argv[1])
    children: list[int] = []
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            os.close(0)
            status = run(**json.loads(line))
            print("exit", status, flush=True)
            sys.stderr.flush()
            os._exit(status)
        children.append(pid)
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    for pid in children:
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
