"""Settings come from the environment, and every mistake in them is named."""

from pathlib import Path

import pytest

from codecoach import settings
from codecoach.errors import SettingsWrong


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def test_defaults_need_nothing():
    assert settings.load().backend == "embedded"


def test_environment_beats_the_file(monkeypatch):
    Path(".env").write_text("CODECOACH_PORT=9000\nCODECOACH_TABLE=other\n")
    monkeypatch.setenv("CODECOACH_PORT", "9001")
    loaded = settings.load()
    assert (loaded.port, loaded.table) == (9001, "other")


def test_an_unknown_setting_is_named_with_the_nearest_known_one(monkeypatch):
    monkeypatch.setenv("CODECOACH_PROT", "1")
    with pytest.raises(SettingsWrong, match=r"CODECOACH_PROT is not a setting.*CODECOACH_PORT"):
        settings.load()


def test_an_unknown_setting_in_the_file_is_named():
    Path(".env").write_text("CODECOACH_COLOUR=red\n")
    with pytest.raises(SettingsWrong, match="CODECOACH_COLOUR"):
        settings.load()


def test_all_mistakes_are_named_at_once(monkeypatch):
    monkeypatch.setenv("CODECOACH_PORT", "many")
    monkeypatch.setenv("CODECOACH_BACKEND", "azure")
    monkeypatch.setenv("CODECOACH_FOO", "1")
    with pytest.raises(SettingsWrong) as caught:
        settings.load()
    for name in ("CODECOACH_PORT", "CODECOACH_BACKEND", "CODECOACH_FOO"):
        assert name in str(caught.value)


def test_a_malformed_secret_is_not_repeated(monkeypatch):
    monkeypatch.setenv("CODECOACH_LOCAL_MODEL", "http://localhost:1/v1")
    monkeypatch.setenv("CODECOACH_LOCAL_MODEL_KEY", "s3cret")
    with pytest.raises(SettingsWrong, match="LOCAL_MODEL_NAME") as caught:
        settings.load()
    assert "s3cret" not in str(caught.value)


def test_every_setting_has_a_meaning():
    assert [name for name, _, meaning in settings.rows() if not meaning] == []


def test_the_readme_shows_every_setting_as_it_is():
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    begin = readme.index("<!-- settings:")
    shown = readme[readme.index("-->", begin) + 3 : readme.index("<!-- end of settings -->")]
    assert shown.strip() == settings.markdown()


def test_a_process_in_another_folder_is_given_the_same_settings(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text(
        "CODECOACH_PORT=9000\nCODECOACH_DATA_DIR=here\nCODECOACH_BACKEND=aws\nCODECOACH_LOCAL_MODEL_KEY=s3cret\n"
    )
    monkeypatch.setenv("CODECOACH_CACHE_DIR", "~/cache")
    ours = settings.load()
    assert (ours.data_dir, ours.cache_dir) == (tmp_path / "here", Path.home() / "cache")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for name, value in ours.as_environment().items():
        monkeypatch.setenv(name, value)
    assert settings.load() == ours


@pytest.mark.parametrize("urls", ["", "here:2000", "ftp://here", "http://", "http://one two", "http://one, two"])
def test_an_address_of_a_piston_that_is_none_is_named(monkeypatch, urls):
    monkeypatch.setenv("CODECOACH_PISTON_URLS", urls)
    with pytest.raises(SettingsWrong, match="CODECOACH_PISTON_URLS"):
        settings.load()


def test_several_pistons_are_separated_by_commas(monkeypatch):
    monkeypatch.setenv("CODECOACH_PISTON_URLS", "http://one:2000, https://two/piston ,")
    assert settings.load().piston_addresses == ("http://one:2000", "https://two/piston")


@pytest.mark.parametrize("address", ["8700", "10.0.0.1", "my-host:8700", "10.0.0.1:99999", "10.0.0.1:", "::1:8700"])
def test_a_gateway_is_an_address_by_number_and_a_port(monkeypatch, address):
    monkeypatch.setenv("CODECOACH_GATEWAY", address)
    with pytest.raises(SettingsWrong, match="CODECOACH_GATEWAY"):
        settings.load()


PROVIDER = {
    "OIDC_METADATA_URL": "https://provider.example.com/.well-known/openid-configuration",
    "OIDC_CLIENT_ID": "us",
    "OIDC_CLIENT_SECRET": "s3cret",
    "PUBLIC_URL": "https://Coach.example.com/Of/",
}


def set_provider(monkeypatch, **changed: str) -> None:
    for name, value in (PROVIDER | changed).items():
        monkeypatch.setenv(f"CODECOACH_{name}", value)


def test_a_sign_in_provider_can_be_set(monkeypatch):
    set_provider(monkeypatch, OIDC_DOMAINS="Example.com, example.org")
    loaded = settings.load()
    assert loaded.oidc_allowed_domains == ("example.com", "example.org")
    assert loaded.public_url == "https://coach.example.com/Of"
    assert "s3cret" not in repr(loaded)


@pytest.mark.parametrize("name", ["OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", "PUBLIC_URL"])
def test_what_a_sign_in_provider_needs_beside_its_address_is_named(monkeypatch, name):
    set_provider(monkeypatch, **{name: ""})
    with pytest.raises(SettingsWrong, match=f"CODECOACH_{name}") as caught:
        settings.load()
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("name", ["OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", "OIDC_DOMAINS"])
def test_settings_of_a_provider_without_its_address_are_named(monkeypatch, name):
    monkeypatch.setenv(f"CODECOACH_{name}", "example.com")
    with pytest.raises(SettingsWrong, match="CODECOACH_OIDC_METADATA_URL"):
        settings.load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OIDC_METADATA_URL", "http://provider.example.com/.well-known/openid-configuration"),
        ("OIDC_METADATA_URL", "https://user:password@provider.example.com/x"),
        ("OIDC_METADATA_URL", "http://localhost.example.com/x"),
        ("OIDC_METADATA_URL", "provider.example.com"),
        ("PUBLIC_URL", "coach.example.com"),
        ("PUBLIC_URL", "https://coach.example.com/?x=1"),
        ("OIDC_DOMAINS", "example.com, *.example.com"),
        ("OIDC_DOMAINS", "@example.com"),
        ("OIDC_DOMAINS", "com"),
    ],
)
def test_an_address_or_domain_that_will_not_do_is_named(monkeypatch, name, value):
    set_provider(monkeypatch, **{name: value})
    with pytest.raises(SettingsWrong, match=f"CODECOACH_{name}:"):
        settings.load()
