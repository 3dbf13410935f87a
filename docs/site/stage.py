"""Lays out the sources of the site: guides, pages made from code, and whatever these link to, with links that fit."""

from __future__ import annotations

import posixpath
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from docs.site import pages
from docs.site.pages import ROOT
from docs.site.verbs import VERBS

__all__ = ["GUIDES", "HERE", "MADE", "Group", "groups", "lay_out", "sections", "site_pages"]

HERE = Path(__file__).parent
GUIDES: dict[str, str] = {
    "docs/getting-started.md": "index.md",
    "docs/testing-your-app.md": "testing-your-app.md",
    "docs/running.md": "running.md",
    "docs/configuration.md": "configuration.md",
    "docs/troubleshooting.md": "troubleshooting.md",
    "docs/reference.md": "reference/index.md",
    "examples/README.md": "examples/index.md",
    "README.md": "about.md",
    "DESIGN.md": "design.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}
"""Pages that people wrote: where they stand in the repository and on the site."""

MADE: dict[str, str] = {
    "src/offhook/client/app/relay.py": "reference/client.md",
    "src/offhook/client/actions/call_base.py": "reference/call.md",
    "src/offhook/client/actions/action.py": "reference/actions.md",
    "src/offhook/client/events/table.py": "reference/events.md",
    "src/offhook/errors.py": "reference/errors.md",
    **{verb.source: f"reference/{verb.name}.md" for verb in VERBS},
}
"""Pages made from a module: links to it lead to them."""

_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(#[^)]*)?\)")
_LANGUAGES = {".py": "python", ".ts": "typescript", ".toml": "toml", ".json": "json"}


@dataclass(frozen=True)
class Group:
    """A section of ``docs/reference.md``: its title and the pages of the site that it lists."""

    title: str
    pages: list[str]


def groups() -> list[Group]:
    """The order in which the tables of the reference list its pages."""
    found = []
    for section in (ROOT / "docs/reference.md").read_text().split("\n## ")[1:]:
        rows = re.findall(r"^\| \[.+?\]\((.+?)\)", section, re.MULTILINE)
        listed = [MADE[_at_root("docs/reference.md", target)] for target in rows]
        found.append(Group(section.partition("\n")[0], listed))
    return [group for group in found if group.pages]


def site_pages() -> dict[str, str]:
    """Every page of the site with its text, links as the site wants them."""
    made = {
        "reference/client.md": pages.client_page(),
        "reference/call.md": pages.call_page(),
        "reference/actions.md": pages.action_page(),
        "reference/events.md": pages.events_page(),
        "reference/errors.md": pages.errors_page(),
        **{f"reference/{verb.name}.md": pages.verb_page(verb) for verb in VERBS},
    }
    written = dict(GUIDES)
    for folder in ("internals", "decisions"):
        written |= {
            f"docs/{folder}/{one.name}": f"{folder}/{one.name}" for one in sorted((ROOT / "docs" / folder).glob("*.md"))
        }
    texts = {source: (ROOT / source).read_text() for source in written}
    shown = _linked_files(texts, {**written, **MADE})
    places = {**written, **MADE, **shown}
    return {
        **{places[source]: _relinked(source, text, places) for source, text in texts.items()},
        **made,
        **{place: _shown(source) for source, place in shown.items()},
    }


def lay_out(into: Path) -> None:
    """Write the pages, with the navigation in the first one."""
    shutil.rmtree(into, ignore_errors=True)
    texts = site_pages()
    texts["index.md"] += _navigation(sections(texts))
    for place, text in texts.items():
        page = into / place
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text)


# --- links ------------------------------------------------------------------------------------------------------


def _at_root(page: str, target: str) -> str:
    """A link's target, from the root of the repository."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), target))


def _linked_files(texts: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    """Files and folders that pages link to without being pages: each gets one that shows it."""
    found: dict[str, str] = {}
    for source, text in texts.items():
        for target, _ in _LINK.findall(text):
            path = _at_root(source, target)
            if path not in known and (ROOT / path).exists():  # the generator refuses the others
                found[path] = f"files/{path}.md"
    return found


def _relinked(source: str, text: str, places: Mapping[str, str]) -> str:
    here = posixpath.dirname(places[source]) or "."

    def place(link: re.Match[str]) -> str:
        path = _at_root(source, link[1])
        return f"]({posixpath.relpath(places[path], here)}{link[2] or ''})" if path in places else link[0]

    return _LINK.sub(place, text)


def _shown(path: str) -> str:
    """A file, or the files of a folder, as a page."""
    target = ROOT / path
    files = sorted(one for one in target.iterdir() if one.is_file()) if target.is_dir() else [target]
    blocks = [
        f"`{one.relative_to(ROOT)}`\n\n```{_LANGUAGES.get(one.suffix, 'text')}\n{one.read_text().strip()}\n```"
        for one in files
    ]
    return f"---\norphan: true\n---\n\n# {path}\n\n" + "\n\n".join(blocks) + "\n"


# --- navigation -------------------------------------------------------------------------------------------------


def sections(texts: Mapping[str, str]) -> list[Group]:
    """Every page that the navigation shows, in its order."""
    first = [place for place in GUIDES.values() if "/" not in place and place not in _ABOUT]
    rest = [*_ABOUT, *(place for place in texts if place.startswith(("internals/", "decisions/")))]
    return [
        Group("Start", [*first, "examples/index.md"]),
        Group("Reference", ["reference/index.md"]),
        *groups(),
        Group("Inside", rest),
    ]


def _navigation(sections: list[Group]) -> str:
    """The directives of Sphinx that make the side bar."""
    trees = []
    for section in sections:
        places = "\n".join(_TITLES.get(place, place.removesuffix(".md")) for place in section.pages)
        trees.append(f"\n```{{toctree}}\n:hidden:\n:caption: {section.title}\n\n{places}\n```\n")
    return "".join(trees)


_TITLES = {
    "index.md": "self",
    "about.md": "What works today <about>",
    "reference/index.md": "All verbs <reference/index>",
}
_ABOUT = ("about.md", "design.md", "contributing.md", "security.md", "changelog.md")
