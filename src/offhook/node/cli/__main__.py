"""``offhook`` as installed, and ``python -m offhook.node.cli``: says what is missing where only the SDK is."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run ``offhook``, or say how to get the node."""
    try:
        from offhook.node.cli.command import main as run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "offhook":
            raise
        sys.stderr.write(f"offhook: {error.name} is missing: the command needs the node, pip install 'offhook[node]'\n")
        sys.exit(2)
    run()


if __name__ == "__main__":
    main()
