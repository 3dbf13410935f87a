"""Settings from file and environment, and the sentence that each mistake gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from offhook.errors import ConfigurationError
from offhook.node.config.page import configuration_page
from offhook.node.config.read import FALSE_WORDS, TRUE_WORDS, catalogue, read_settings
from offhook.node.config.settings import RouteRule, Settings

ROOT = Path(__file__).resolve().parents[4]


def write(directory: Path, text: str, mode: int = 0o600) -> Path:
    file = directory / "offhook.toml"
    file.write_text(text)
    file.chmod(mode)
    return file


def test_nothing_given_is_the_defaults() -> None:
    assert read_settings(None, {"PATH": "/bin"}) == Settings()


def test_file_environment_and_overrides_win_in_this_order(tmp_path: Path) -> None:
    file = write(tmp_path, "[relay]\nport = 1\n[sip]\nport = 1\n[log]\nlevel = 'debug'\n")
    settings = read_settings(file, {"OFFHOOK_SIP_PORT": "2", "OFFHOOK_RELAY_PORT": "2"}, {"relay.port": 3})
    assert (settings.relay.port, settings.sip.port, settings.log.level) == (3, 2, "debug")


def test_routes_voices_and_lists_are_read(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        '[[routes]]\nmatch = "+1*"\ncontext = "us"\n[tts.voices]\njosh = "en-us+m3"\n[fetch]\nports = [443]\n',
    )
    settings = read_settings(file, {"OFFHOOK_DIAL_ALLOW": "pbx.example, 10.0.0.0/8"})
    assert settings.routes == (RouteRule("+1*", "us"),)
    assert settings.tts.voices == {"josh": "en-us+m3"}
    assert settings.dial.allow == ("pbx.example", "10.0.0.0/8")
    assert settings.fetch.ports == (443,)


@pytest.mark.parametrize("word", [*TRUE_WORDS, "TRUE", " Yes "])
def test_words_for_true(word: str) -> None:
    assert read_settings(None, {"OFFHOOK_SIP_ALLOW_PUBLIC": word}).sip.allow_public is True


@pytest.mark.parametrize("word", [*FALSE_WORDS, "FALSE", "No", ""])
def test_words_for_false_and_nothing_are_never_true(word: str) -> None:
    assert read_settings(None, {"OFFHOOK_SIP_ALLOW_PUBLIC": word}).sip.allow_public is False


@pytest.mark.parametrize("word", ["y", "t", "2", "enabled", "none", "null", "falsee", "-1", "0.0"])
def test_other_words_are_neither(word: str) -> None:
    with pytest.raises(ConfigurationError, match="must be true, 1, yes, on or false, 0, no, off"):
        read_settings(None, {"OFFHOOK_SIP_ALLOW_PUBLIC": word})


@pytest.mark.parametrize(
    ("text", "setting", "sentence"),
    [
        ("[relay]\nprot = 1\n", "relay.prot", "did you mean relay.port?"),
        ("port = 1\n", "port", "did you mean .*port?"),
        ("[rely]\nport = 1\n", "rely", "did you mean relay"),
        ("relay = 1\n", "relay", "is a section"),
        ("[relay]\nport = '1'\n", "relay.port", "must be a whole number, not text in quotes"),
        ("[relay]\nport = 70000\n", "relay.port", "a whole number, at most 65535"),
        ("[sip]\nallow_public = 'false'\n", "sip.allow_public", "without quotes"),
        ("[log]\nlevel = 'loud'\n", "log.level", "one of debug, error, info, warning"),
        ("[relay]\nlisten = '0.0.0.0'\n", "relay.listen", "give relay.certificate"),
        ("[relay]\nlisten = 'localhost'\n", "relay.listen", "no IP address"),
        ("[sip]\nlisten = '0.0.0.0'\n", "sip.listen", "sip.allow_public = true"),
        ("[rtp]\nlisten = '192.0.2.1'\n", "rtp.listen", "sip.allow_public = true"),
        ("[rtp]\nport_min = 30000\n", "rtp.port_max", "at least 30003"),
        ("[sip]\ntrust = ['everyone']\n", "sip.trust", "no IP address or network"),
        ("[relay]\norigins = ['*']\n", "relay.origins", "write https://host"),
        ("[relay]\norigins = ['https://a.example/page']\n", "relay.origins", "write https://host"),
        ("[relay]\ntoken = 'short'\n", "relay.token", "at least 16"),
        ("[relay]\ncertificate = 'a.pem'\n", "relay.certificate", "both or neither"),
        ("[dial]\nallow = ['sip:a@b']\n", "dial.allow", "no host"),
        ("[[routes]]\nmatch = '1'\ncontext = 'a'\n[[routes]]\nmatch = '1'\ncontext = 'b'\n", "routes", "twice"),
        ("[[routes]]\nnumber = '1'\ncontext = 'a'\n", "routes[0]", "use match and context"),
        ("[dev]\nenabled = true\n[sip]\nlisten='0.0.0.0'\nallow_public = true\n", "dev.enabled", "loopback alone"),
        ("[[routes]]\nmatch = '1'\n", "routes[0]", "needs context"),
        ("[[routes]]\nmatch = ''\ncontext = 'a'\n", "routes[0].match", "at least 1 character"),
        ("[fetch]\nconnect_s = 0\n", "fetch.connect_s", "a number, over 0"),
        ("[sip]\ntrust = 'all'\n", "sip.trust", "must be a list in brackets, not text in quotes"),
        ("state_dir = 5\n", "state_dir", "must be text in quotes, not a whole number"),
        ("state_dir = ''\n", "state_dir", "directory"),
        ("[relay\n", "offhook.toml", "not TOML"),
    ],
)
def test_a_mistake_names_the_setting_and_what_to_change(tmp_path: Path, text: str, setting: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        read_settings(write(tmp_path, text), {})
    assert caught.value.setting.endswith(setting)


@pytest.mark.parametrize("variable", ["OFFHOOK_RELAY_PROT", "OFFHOOK_STATE_DIRR", "OFFHOOK_SIP_NONSENSE_AT_ALL"])
def test_a_misspelt_variable_is_refused(variable: str) -> None:
    with pytest.raises(ConfigurationError, match="no such setting"):
        read_settings(None, {variable: "1"})


@pytest.mark.parametrize("variable", ["OFFHOOK_PROJECT_ID", "OFFHOOK_RELAY_CA_FILE", "OFFHOOK_COMMAND"])
def test_variables_of_the_sdk_are_not_ours(variable: str) -> None:
    assert read_settings(None, {variable: "x"}) == Settings()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_token_in_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = write(tmp_path, "[relay]\ntoken = '0123456789abcdef'\n", mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_settings(file, {})
    secret = tmp_path / "token"
    secret.write_text("0123456789abcdef")
    secret.chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_settings(None, {"OFFHOOK_RELAY_TOKEN_FILE": str(secret)})


def test_public_addresses_are_allowed_when_said_so(tmp_path: Path) -> None:
    text = "[sip]\nlisten = '0.0.0.0'\nallow_public = true\ntrust = ['192.0.2.0/24']\n"
    assert read_settings(write(tmp_path, text), {}).sip.allow_public


def test_every_setting_has_a_description() -> None:
    assert [setting.name for setting in catalogue() if not setting.description.endswith((".", "`."))] == []


def test_every_number_has_a_range() -> None:
    numbers = [setting for setting in catalogue() if setting.kind in ("integer", "number")]
    assert [setting.name for setting in numbers if setting.least is None or setting.most is None] == []


def test_the_page_is_what_the_structs_say() -> None:
    page = (ROOT / "docs/configuration.md").read_text()
    assert page == configuration_page(), "python -m offhook.node.config.page > docs/configuration.md"
