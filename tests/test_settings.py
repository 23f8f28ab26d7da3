from __future__ import annotations

import json
import stat

import pytest

from createos_nb import settings
from createos_nb.api.secret import Secret
from createos_nb.errors import SettingsError

KEY = "skp_" + "0123456789abcdef" * 2


@pytest.fixture
def user(tmp_path, monkeypatch):
    """A home directory without the official client's files."""
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def sources(user, monkeypatch):
    """A key in every place, each with its place's name in it."""
    (user / ".createos").mkdir()
    (user / ".createos" / ".token").write_text("key-official-client\n")
    (user / "key").write_text("key-file\n")
    monkeypatch.setenv("CREATEOS_API_KEY", "key-environment")
    monkeypatch.setenv("CREATEOS_API_KEY_FILE", str(user / "key"))
    monkeypatch.setenv("CREATEOS_ACCESS_TOKEN", "token-environment")
    return user


def test_a_key_is_looked_for_in_the_documented_order(sources, monkeypatch):
    def found(**given):
        chosen = settings.resolve(**given)
        return chosen.credential.reveal(), chosen.header, chosen.source

    assert found(api_key="key-argument") == ("key-argument", "X-Api-Key", "argument")
    assert found() == ("key-environment", "X-Api-Key", "CREATEOS_API_KEY")
    monkeypatch.delenv("CREATEOS_API_KEY")
    assert found() == ("key-file", "X-Api-Key", str(sources / "key"))
    monkeypatch.delenv("CREATEOS_API_KEY_FILE")
    assert found() == ("token-environment", "X-Access-Token", "CREATEOS_ACCESS_TOKEN")
    monkeypatch.delenv("CREATEOS_ACCESS_TOKEN")
    assert found() == ("key-official-client", "X-Api-Key", str(sources / ".createos" / ".token"))


def test_without_a_key_the_message_lists_every_place_and_the_way_on(user):
    with pytest.raises(SettingsError) as raised:
        settings.resolve()
    for place in (
        "api_key",
        "CREATEOS_API_KEY,",
        "CREATEOS_API_KEY_FILE",
        "CREATEOS_ACCESS_TOKEN",
        ".token",
        "local()",
    ):
        assert place in str(raised.value)


def test_the_url_comes_from_the_argument_then_the_environment_then_the_public_platform(monkeypatch):
    assert settings.resolve(api_key=KEY).api_url == settings.DEFAULT_API_URL
    monkeypatch.setenv("CREATEOS_API_URL", "https://from.environment")
    assert settings.resolve(api_key=KEY).api_url == "https://from.environment"
    assert settings.resolve("https://from.argument", api_key=KEY).api_url == "https://from.argument"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://a.example", "https://a.example"),
        ("https://a.example/", "https://a.example"),
        ("https://a.example:8443/v1/", "https://a.example:8443"),
        ("http://localhost:1", "http://localhost:1"),
        ("http://127.0.0.1:1/v1", "http://127.0.0.1:1"),
        ("http://[::1]:1", "http://[::1]:1"),
        ("http://api.localhost:1", "http://api.localhost:1"),
        ("HTTPS://API.Example:443/v1", "https://api.example"),  # one place has one budget
        ("http://localhost:80", "http://localhost"),
        ("https://a.example:80", "https://a.example:80"),
    ],
)
def test_a_url_is_reduced_to_its_origin(url, origin):
    assert settings.resolve(url, api_key=KEY).api_url == origin


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("a.example", "is not one"),
        ("ftp://a.example", "is not one"),
        ("https://", "is not one"),
        ("https://a.example:0", "is not one"),
        ("https://a.example:99999", "is not one"),
        ("https://a.example:x", "is not one"),
        ("https://[::1", "is not one"),
        ("https://user@a.example", "is not one"),
        ("http://a.example", "plain http"),
        ("http://localhost.evil.example", "plain http"),
        ("http://127.0.0.1.evil.example", "plain http"),
        ("https://a.example/v2", "origin alone"),
        ("https://a.example/?a=1", "origin alone"),
        ("https://a.example/#a", "origin alone"),
    ],
)
def test_a_url_that_would_go_wrong_is_refused_with_one_sentence(url, reason):
    with pytest.raises(SettingsError, match=reason):
        settings.resolve(url, api_key=KEY)


@pytest.mark.parametrize("key", ["", " ", f"{KEY} {KEY}", f"{KEY}\n{KEY}", f"{KEY}é", f"{KEY}\x00", f"{KEY}\x7f"])
def test_a_malformed_key_is_refused_without_being_shown(key):
    with pytest.raises(SettingsError, match="from argument") as raised:
        settings.resolve(api_key=key)
    assert KEY not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["https://api..example.com", "https://exa mple.com", "https://-a.example", "https://a_.b-"]
)
def test_a_host_that_there_cannot_be_is_refused(url):
    with pytest.raises(SettingsError, match=r"has no host that there could be|is not one"):
        settings.resolve(url, api_key=KEY)


@pytest.mark.parametrize(
    "url", ["https://bücher.example", "http://[::1]:3000", "https://10.0.0.1", "https://a.b-c.example."]
)
def test_a_host_of_any_kind_is_taken(url):
    assert settings.resolve(url, api_key=KEY).api_url


def test_a_home_that_cannot_be_looked_into_is_no_place_for_a_key(monkeypatch):
    monkeypatch.setenv("HOME", f"/{'x' * 5000}")  # as one that is somebody else's, for whoever may look everywhere
    with pytest.raises(SettingsError, match=r"No API key\. Looked at"):
        settings.resolve()


def test_in_a_directory_that_was_removed_there_is_no_link(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert settings.project_link() is None


def test_a_key_is_stripped_and_a_secret_stays_one(user):
    assert settings.resolve(api_key=f" {KEY}\n").credential == Secret(KEY)
    assert settings.resolve(api_key=Secret(KEY)).credential == Secret(KEY)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["missing", "not text"])
def test_a_key_file_that_cannot_be_read_is_named(user, monkeypatch, content):
    if content is not None:
        (user / "key").write_bytes(content)
    monkeypatch.setenv("CREATEOS_API_KEY_FILE", str(user / "key"))
    with pytest.raises(SettingsError, match=str(user / "key")):
        settings.resolve()


def test_a_directory_in_place_of_the_key_file_is_named(user, monkeypatch):
    monkeypatch.setenv("CREATEOS_API_KEY_FILE", str(user))
    with pytest.raises(SettingsError, match="Check the path"):
        settings.resolve()


def test_settings_never_show_the_key():
    chosen = settings.resolve(api_key=KEY)
    assert KEY not in repr(chosen) + str(chosen) + str(vars(chosen))


def test_the_home_is_where_the_environment_says_and_private(tmp_path, monkeypatch):
    monkeypatch.setenv("CREATEOS_NB_HOME", str(tmp_path / "deep" / "home"))
    assert settings.home() == tmp_path / "deep" / "home"
    assert stat.S_IMODE(settings.home().stat().st_mode) == 0o700


def test_the_default_home_is_the_users_data_directory(user, monkeypatch):
    monkeypatch.delenv("CREATEOS_NB_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(user / "data"))
    assert settings.home().is_relative_to(user)


def test_a_home_that_cannot_be_made_names_the_variable(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CREATEOS_NB_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(SettingsError, match="CREATEOS_NB_HOME"):
        settings.home()


# --- the official client's link -------------------------------------------------------------------------


def test_the_link_of_the_nearest_directory_above_is_found(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert settings.project_link(tmp_path / "a" / "b") is None
    link = {"projectId": "p-1", "environmentId": "e-1", "projectName": "shop", "token": "s3cret"}
    (tmp_path / ".createos.json").write_text(json.dumps(link))
    found = settings.project_link(tmp_path / "a" / "b")
    assert (found.project_id, found.environment_id, found.project_name) == ("p-1", "e-1", "shop")
    assert found.path == tmp_path / ".createos.json"
    assert "s3cret" not in repr(found)
    (tmp_path / "a" / ".createos.json").write_text('{"projectId": "p-2"}')
    assert settings.project_link(tmp_path / "a" / "b").project_id == "p-2"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"projectId": 7}', '{"projectId": "p", "projectName": []}', "s3cret"]
)
def test_a_link_that_says_nothing_is_named_and_not_shown(tmp_path, text):
    (tmp_path / ".createos.json").write_text(text)
    with pytest.raises(SettingsError, match=r"\.createos\.json does not say which project") as raised:
        settings.project_link(tmp_path)
    assert "s3cret" not in str(raised.value)


def test_a_key_of_an_embedded_platform_is_not_sent_elsewhere():
    with pytest.raises(SettingsError, match="one of an embedded platform") as raised:
        settings.resolve("https://api.example", api_key="skp_local_canary")
    assert "canary" not in str(raised.value)
    assert settings.resolve("http://127.0.0.1:1", api_key="skp_local_canary").header == "X-Api-Key"


def test_an_access_token_goes_in_its_own_header_and_not_beside_a_key():
    assert settings.resolve(access_token="t0ken").header == "X-Access-Token"
    with pytest.raises(SettingsError, match="not both"):
        settings.resolve(api_key="skp_a", access_token="t0ken")
