"""What the pages say is so: links, targets, options, settings, methods and sentences exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from offhook.node.config.read import read_settings
from offhook.node.verbs.registry import BUILT
from offhook.protocol.methods import KNOWN
from offhook.protocol.verbs import METHODS
from rig.documents import blocks, commands

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "examples/*.md", "vectors/*/*.md", "crates/*/*.md")
    for page in ROOT.glob(pattern)
)
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
OF_OTHERS = {"CERTIFICATE_VERIFY_FAILED"}


def anchors(page: Path) -> set[str]:
    """What ``#...`` of a link may name."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        file, _, anchor = link.partition("#")
        target = (page.parent / file) if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_files_and_targets_that_are_named_exist(page: Path) -> None:
    text = page.read_text()
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake (\w+)`", text)) | set(re.findall(r"^ *make (\w+)", text, re.MULTILINE)) <= targets
    for path in re.findall(r"`((?:docs|src|tests|crates|examples|scripts|vectors|benchmarks)/[\w./*-]+)`", text):
        assert list(ROOT.glob(path)) or list(ROOT.glob(f"{path}*")), path


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_programs_on_a_page_compile(page: Path) -> None:
    for block in blocks(page):
        if block.language == "python":
            compile(block.text, block.file or str(page), "exec")


def test_every_example_is_listed() -> None:
    page = (ROOT / "examples/README.md").read_text()
    assert [
        path.name for path in (ROOT / "examples").iterdir() if path.name[0] not in "_R" and path.name not in page
    ] == []


def test_the_configuration_of_the_guide_is_valid(tmp_path: Path) -> None:
    [example] = [block for block in blocks(ROOT / "docs/running.md") if block.language == "toml"]
    token = tmp_path / "token"
    token.write_text("0123456789abcdef")
    token.chmod(0o600)
    file = tmp_path / "offhook.toml"
    file.write_text(example.text.replace("/etc/offhook/token", str(token)))
    settings = read_settings(file, {})
    assert [route.context for route in settings.routes] == ["sales", "default"]
    assert settings.trunk.host


def rows(table_head: str) -> list[list[str]]:
    """Cells of a table of the README, by its first column's title."""
    table = (ROOT / "README.md").read_text().split(f"| {table_head} |", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_the_table_of_methods_is_what_the_node_does() -> None:
    """Every method of the protocol has its place, under yes or no, as the node's registry has it."""
    said: dict[str, bool] = {}
    for names, node, _ in rows("method"):
        for name in names.split(", "):
            assert name not in said, name
            said[name] = node.startswith("yes")
    roots = {method.split(".")[1]: method in BUILT for method in METHODS if method.count(".") == 1}
    nested = {"queue": False}  # it has enter and leave alone
    others = {method: False for method in KNOWN if method.startswith("messaging.")}
    assert said == {**roots, **nested, **others}


def test_sentences_of_the_troubleshooting_page_are_said() -> None:
    """The words in the first column stand in the code, so that who searches for them finds this page."""
    sources = [*ROOT.glob("src/**/*.py"), *ROOT.glob("crates/*/src/**/*.rs")]
    code = "\n".join(path.read_text() for path in sources)
    said = re.sub(r'"\s*\n\s*f?"', "", code)  # a sentence over two lines
    page = (ROOT / "docs/troubleshooting.md").read_text()
    sentences = [
        sentence for row in re.findall(r"^\| (`.+?) \| ", page, re.MULTILINE) for sentence in re.findall("`(.+?)`", row)
    ]
    assert len(sentences) > 30
    assert [sentence for sentence in sentences if sentence not in said and sentence not in OF_OTHERS] == []


def test_options_of_the_command_that_pages_use_exist() -> None:
    program = (ROOT / "src/offhook/node/cli/command.py").read_text()
    for page in PAGES:
        for command in commands(page):
            if "offhook " in command:
                for option in re.findall(r"--([a-z-]+)", command):
                    assert f"{option.replace('-', '_')}: " in program, command
