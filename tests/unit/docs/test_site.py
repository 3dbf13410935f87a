"""The site, without its generator: every verb has a page, with every parameter in words; every link leads somewhere."""

from __future__ import annotations

import ast
import inspect
import posixpath
import re
import sys
from pathlib import Path
from typing import is_typeddict

import pytest
from docs.site.__main__ import FETCHED
from docs.site.pages import ROOT
from docs.site.stage import MADE, groups, lay_out, site_pages
from docs.site.verbs import OF_THE_CLIENT_ITSELF, VERBS, Method, Verb, public_methods

import offhook.client.verbs
from offhook.client.actions.action import Action
from offhook.client.app.relay import RelayClient
from offhook.client.calls.call import Call
from offhook.client.calls.messages import Message
from offhook.client.events import EVENT_TYPES

NAMES = [verb.name for verb in VERBS]
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
WITHOUT_A_PAGE = {"__init__"}
FOR_PROGRAMS = [RelayClient, Call, Action, *(action for verb in VERBS for action in verb.actions), Message]
"""Classes whose methods programs call."""


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return site_pages()


def section(page: str, title: str) -> str:
    """What stands below a title of the second level."""
    [found] = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    return str(found)


def anchors(page: str) -> set[str]:
    without_code = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", without_code, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_every_module_of_verbs_has_a_page_in_the_navigation(tmp_path: Path, texts: dict[str, str]) -> None:
    lay_out(tmp_path)
    trees = re.findall(r"```\{toctree\}\n.*?\n\n(.*?)\n```", (tmp_path / "index.md").read_text(), re.DOTALL)
    shown = [re.sub(r".* <(.+)>", r"\1", page) for tree in trees for page in tree.splitlines()]
    modules = {path.stem for path in Path(offhook.client.verbs.__path__[0]).glob("*.py")} - WITHOUT_A_PAGE
    assert {f"reference/{name}" for name in modules} <= set(shown)
    assert len(shown) == len(set(shown)), "a page stands in one place"
    assert shown[0] == "self"
    assert [page for page in shown[1:] if not (tmp_path / f"{page}.md").is_file()] == []
    assert {page for page in texts if not page.startswith("files/")} == {
        f"{page}.md" for page in {*shown, "index"} - {"self"}
    }


def test_every_page_of_the_site_can_be_reached(texts: dict[str, str]) -> None:
    listed = {page for group in groups() for page in group.pages}
    assert set(MADE.values()) <= listed
    linked = {
        posixpath.normpath(posixpath.join(posixpath.dirname(place), target))
        for place, text in texts.items()
        for target, _ in LINK.findall(text)
    }
    assert {place for place in texts if place.startswith("files/")} <= linked


@pytest.mark.parametrize("verb", VERBS, ids=NAMES)
def test_every_parameter_is_on_the_page_of_its_verb_in_words(verb: Verb, texts: dict[str, str]) -> None:
    page = texts[f"reference/{verb.name}.md"]
    for method in verb.methods:
        entry = section(page, f"{verb.subject}.{method.name}")
        for parameter in method.parameters:
            words = method.words(parameter.name)
            assert words, f"{method.name}: {parameter.name} has no words"
            said_by = method.as_in(parameter.name)
            if said_by is not None:
                [shared] = re.findall(rf"^As in \[{verb.subject}.{said_by.name}\].*$", entry, re.MULTILINE)
                assert f"`{parameter.name}`" in shared
                entry_of_words = section(page, f"{verb.subject}.{said_by.name}")
            else:
                entry_of_words = entry
            row = rf"^\| `{parameter.name}` \| .*{re.escape(words.replace('|', chr(92) + '|'))}"
            assert re.search(row, entry_of_words, re.MULTILINE), f"{method.name}: {parameter.name}"


@pytest.mark.parametrize("verb", VERBS, ids=NAMES)
def test_words_are_said_of_no_parameter_that_is_not_there(verb: Verb) -> None:
    for method in verb.methods:
        assert set(method.docstring.args) <= set(method.signature.parameters), method.name


@pytest.mark.parametrize("verb", VERBS, ids=NAMES)
def test_the_program_of_a_verb_stands_on_its_page_as_it_is(verb: Verb, texts: dict[str, str]) -> None:
    program = (ROOT / verb.example).read_text().strip()
    assert f"```python\n{program}\n```" in section(texts[f"reference/{verb.name}.md"], "Example")


@pytest.mark.parametrize("verb", VERBS, ids=NAMES)
def test_a_page_says_what_is_sent_what_comes_back_and_what_follows(verb: Verb, texts: dict[str, str]) -> None:
    page = texts[f"reference/{verb.name}.md"]
    for method in verb.methods:
        assert method.sends, method.name
        assert all(f"`{struct.method}`" in section(page, f"{verb.subject}.{method.name}") for struct in method.sends)
    for action in verb.actions:
        entry = section(page, action.__name__)
        own = {name for name, one in vars(action).items() if isinstance(one, property)}
        assert all(f"| `{name}` |" in entry for name in own)
        assert action.event_type in verb.events
        assert f"`{EVENT_TYPES[action.event_type].__name__}" in entry
    for name in verb.events:
        assert f"### {name}\n\n`{EVENT_TYPES[name].__name__}`" in page


@pytest.mark.parametrize("verb", VERBS, ids=NAMES)
def test_types_on_a_page_are_python_and_name_nothing_that_is_missing(verb: Verb, texts: dict[str, str]) -> None:
    page = texts[f"reference/{verb.name}.md"]
    if "\n## Types\n" not in page:
        return
    [block] = re.findall(r"```python\n(.*?)```", section(page, "Types"), re.DOTALL)
    tree = ast.parse(block)
    defined = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    defined |= {
        node.targets[0].id
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    bases = {
        base.id
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        if isinstance(base, ast.Name)
    }
    assert bases - {"TypedDict"} <= defined


def test_links_of_every_page_lead_to_a_page_and_a_title(texts: dict[str, str]) -> None:
    broken = []
    for place, text in texts.items():
        for target, anchor in LINK.findall(text):
            page = posixpath.normpath(posixpath.join(posixpath.dirname(place), target)) if target else place
            if page not in texts or (anchor and anchor not in anchors(texts[page])):
                broken.append(f"{place}: {target}#{anchor}")
    assert broken == []


def test_a_short_form_has_the_words_of_the_method_that_it_names() -> None:
    play = next(verb for verb in VERBS if verb.name == "play")
    tts = Method(play.owner, vars(play.owner)["play_tts"])
    assert "loop" not in tts.docstring.args
    assert tts.words("loop") == "how often, default 1; 0 until stopped."
    assert tts.words("nothing") == ""


def test_ranges_are_those_that_the_wire_checks() -> None:
    play = next(verb for verb in VERBS if verb.name == "play").methods[0]
    assert play.range("volume").startswith("a number of decibels from -40")
    assert play.wire_key("media") == "play"
    assert play.range("media") == "a list of at least one media element"


def test_ranges_of_what_goes_inside_are_found_where_it_is_plain_which_is_meant() -> None:
    methods = {method.name: method for verb in VERBS for method in verb.methods}
    assert (
        methods["detect_answering_machine"].range("machine_words_threshold").startswith("a whole number greater than 0")
    )
    assert methods["play_silence"].range("duration").startswith("a number of seconds greater than 0")
    assert methods["play_silence"].range("on_completed") == ""


def test_what_a_page_would_fetch_from_elsewhere_is_found() -> None:
    page = '<link href="https://fonts.example/a.css"><a href="https://example.com">out</a><img src=//cdn.example/b.png>'
    assert FETCHED.findall(page) == ["https://fonts.example/a.css", "//cdn.example/b.png"]
    assert FETCHED.findall('<script src="_static/scripts/furo.js"></script><link href="../extra.css">') == []


def test_every_method_of_the_client_and_of_its_calls_has_a_page(texts: dict[str, str]) -> None:
    pages = "\n".join(texts.values())
    for subject, owner in (("client", RelayClient), ("call", Call)):
        public = {name for name, one in inspect.getmembers(owner, inspect.isfunction) if not name.startswith("_")}
        missing = {name for name in public - OF_THE_CLIENT_ITSELF if f"# {subject}.{name}\n" not in pages}
        assert missing == set(), "show it on a page (docs/site/pages.py), or say above that it is not for programs"


def without_words(owner: type) -> list[str]:
    """Parameters of a class's public methods, its bases' too, that nobody describes."""
    ours = [base for base in owner.__mro__ if base.__module__.startswith(("offhook", __name__))]
    return [
        f"{base.__name__}.{method.name}: {parameter.name}"
        for base in ours
        for method in public_methods(base)
        for parameter in method.parameters
        if not method.words(parameter.name)
    ]


@pytest.mark.parametrize("owner", FOR_PROGRAMS, ids=lambda owner: owner.__name__)
def test_every_parameter_of_what_programs_call_is_described(owner: type) -> None:
    assert without_words(owner) == []


def test_a_parameter_without_words_is_found() -> None:
    class Verb:
        def words_for_one(self, one: int, other: int) -> None:
            """Do something.

            Args:
                one: described.
            """

        def no_words(self, third: int) -> None:
            """Do something with ``third``."""

    assert without_words(Verb) == ["Verb.words_for_one: other", "Verb.no_words: third"]


def test_the_settings_of_a_client_are_described(texts: dict[str, str]) -> None:
    for name in inspect.signature(RelayClient).parameters:
        assert re.search(rf"^\| `{name}` \| .+ \| [`\w]", texts["reference/client.md"], re.MULTILINE), name


@pytest.mark.parametrize(
    ("page", "method", "parameter"),
    [
        ("call", "call.on", "event_type"),
        ("call", "call.wait_for", "predicate"),
        ("actions", "action.wait", "timeout"),
        ("client", "client.receive", "contexts"),
        ("send_message", "message.on", "handler"),
    ],
)
def test_what_is_described_stands_on_the_page(texts: dict[str, str], page: str, method: str, parameter: str) -> None:
    [entry] = re.findall(
        rf"^##+ {re.escape(method)}\n(.*?)(?=^##|\Z)", texts[f"reference/{page}.md"], re.MULTILINE | re.DOTALL
    )
    assert re.search(rf"^\| `{parameter}` \| [^|]+ \| \w", entry, re.MULTILINE)


def undescribed_keys(source: str, typed: set[str]) -> list[str]:
    """Keys of typed dicts that neither the docstring nor a comment beside them describes."""
    lines = source.splitlines()
    return [
        f"{node.name}.{one.target.id}"
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and node.name in typed
        for one in node.body
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
        if one.target.id not in ("type", "params")
        if f"``{one.target.id}``" not in (ast.get_docstring(node) or "") and "  # " not in lines[one.lineno - 1]
    ]


def test_every_key_of_a_typed_dict_is_described() -> None:
    modules = [module for name, module in sorted(sys.modules.items()) if name.startswith("offhook.client.")]
    found = []
    for module in modules:
        typed = {name for name, one in vars(module).items() if is_typeddict(one)}
        found += undescribed_keys(inspect.getsource(module), typed)
    assert found == []


def test_a_key_without_words_is_found() -> None:
    shape = """
class Shape(TypedDict):
    "``one`` is said here."
    type: str
    one: str
    two: int  # said beside it
    three: int
"""
    assert undescribed_keys(shape, {"Shape"}) == ["Shape.three"]


def test_keys_of_objects_have_the_ranges_that_the_wire_checks(texts: dict[str, str]) -> None:
    types = section(texts["reference/record.md"], "Types")
    assert re.search(r"input_sensitivity: float  # a number from 0 to 100; default 44", types)


def test_keys_of_objects_keep_the_words_beside_them(texts: dict[str, str]) -> None:
    types = section(texts["reference/detect.md"], "Types")
    assert "\n    initial_timeout: float  # seconds to the first speech, default 4.5\n" in types
    assert "\n    detect_message_end: bool  # wait for the end of the greeting" in types
