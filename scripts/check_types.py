"""mypy and pyright, both strict, on programs that use the SDK: examples, tests/types, and those on the pages.

Both must refuse every line that ends in ``# refused``, and no other line. pyright sees the SDK as a user's editor does:
as a package that is installed and says that it is typed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = ("examples/verbs", "examples/greeter.py", "examples/ivr.py", "tests/types", "out/pages")
"""Those of ``tests/types/pyrightconfig.json``."""
MARK = "# refused"

Line = tuple[str, int]
"""A file, from the root, and the number of a line in it."""


def save_programs_of_pages(folder: Path) -> None:
    """Save what stands on the pages, but for programs that import another of their page."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.py"):
        old.unlink()
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        programs = re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
        for number, program in enumerate(programs):
            if not re.search(r"^(import|from) app\b", program, re.MULTILINE):
                name = f"{page.stem.replace('-', '_').lower()}_{number}.py"
                (folder / name).write_text(program)


def marked(paths: Iterable[Path]) -> set[Line]:
    """Lines that must be refused."""
    return {
        (str(path.relative_to(ROOT)), number)
        for path in paths
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if line.endswith(MARK)
    }


def run(command: list[str], **environment: str) -> str:
    """What a checker says. It ends with 1 when it found something, with more when it could not work."""
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False)
    if done.returncode > 1:
        sys.exit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def of_mypy() -> Iterator[tuple[Line, str]]:
    """What mypy refuses."""
    for line in run([sys.executable, "-m", "mypy", "--strict", "--output", "json", *PROGRAMS]).splitlines():
        if line.startswith("{"):
            said = json.loads(line)
            if said["severity"] == "error":
                yield (said["file"], said["line"]), f"{said['message']} [{said['code']}]"


def of_pyright() -> Iterator[tuple[Line, str]]:
    """What pyright refuses."""
    program = files("pyright") / "dist" / "index.js"  # not the command, which asks the network for news
    options = ["--project", "tests/types", "--pythonpath", sys.executable, "--outputjson"]
    said = json.loads(run(["node", str(program), *options]))
    for one in said["generalDiagnostics"]:
        if one["severity"] == "error":
            place = (os.path.relpath(one["file"], ROOT), one["range"]["start"]["line"] + 1)
            yield place, f"{one['message']} [{one.get('rule', 'syntax')}]"


def compare(checker: str, wanted: set[Line], found: Iterable[tuple[Line, str]]) -> list[str]:
    """What is not as the programs say."""
    said = list(found)
    refused = {place for place, _ in said}
    wrong = [f"{path}:{line}: {checker}: {text}" for (path, line), text in said if (path, line) not in wanted]
    wrong += [f"{path}:{line}: {checker} does not refuse this line" for path, line in sorted(wanted - refused)]
    return wrong


def main() -> None:
    save_programs_of_pages(ROOT / "out/pages")
    wanted = marked((ROOT / "tests/types").glob("*.py"))
    if not wanted:
        sys.exit(f"no line of tests/types ends in {MARK!r}")
    wrong = [*compare("mypy", wanted, of_mypy()), *compare("pyright", wanted, of_pyright())]
    print("\n".join(wrong) or f"{len(wanted)} lines are refused by both")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
