"""Settings that an operator got wrong, and what is said of them."""

from pathlib import Path

import pytest

from thingport.settings import SettingsNotValid, read_settings

SECRET = "s3cret"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:s3cret@db.example:5432/thingport",
        "postgresql:///thingport?host=/run/postgresql",
        "postgresql://ada:s3c%40ret@[::1]/thingport?sslmode=require",
    ],
)
def test_an_address_of_a_database_is_taken_as_it_is(url: str, tmp_path: Path) -> None:
    settings = read_settings(data_dir=tmp_path, database_url=url)

    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == url
    assert url not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://ada:{SECRET}@db.example/thingport",
        f"postgresql+psycopg://ada:{SECRET}@db.example/thingport",
        f"postgresql://ada:{SECRET}@db.example/",
        f"postgresql://ada:{SECRET}@x:y@db.example:{SECRET}/thingport",
        f"postgresql://ada:{SECRET}/@db.example/thingport",
        f"host=db.example password={SECRET}",
        "",
    ],
)
def test_anything_else_is_refused_without_a_word_of_it(
    url: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsNotValid, match="THINGPORT_DATABASE_URL") as refusal:
        read_settings(data_dir=tmp_path, database_url=url)

    assert "must be postgresql://" in str(refusal.value)
    assert SECRET not in str(refusal.value)
