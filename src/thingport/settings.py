"""Configuration, read from the environment once, at start."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from annotated_types import Ge, Gt, MinLen
from pydantic import SecretStr, StringConstraints, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from thingport.application.housekeeping import MIN_SNAPSHOT_RETENTION
from thingport.domain.errors import ThingportError

PositiveDuration = Annotated[timedelta, Gt(timedelta(0))]

MIN_SECRET_CHARACTERS = 32
"""As many as what is signed with them has bytes (HMAC-SHA256; RFC 7518, §3.2)."""

Secret = Annotated[SecretStr, MinLen(MIN_SECRET_CHARACTERS)]

BaseUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^/\s?#]+[^\s?#]*$")]
"""Scheme and host, and perhaps the beginning of a path."""

_NO_ADDRESS = (
    "must be postgresql://user:password@host:port/database, with characters such as "
    "@ : / in user and password as %40 %3A %2F"
)


class SettingsNotValid(ThingportError):
    """A setting is missing or cannot be; nothing was started."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class Settings(BaseSettings):
    """Everything that an operator can choose.

    Environment: ``THINGPORT_*``; durations as seconds or ISO 8601 (``PT24H``).
    """

    model_config = SettingsConfigDict(
        env_prefix="THINGPORT_", frozen=True, use_attribute_docstrings=True
    )

    data_dir: Path
    """Folder for everything that is kept. Required: there is no safe default."""

    database_url: SecretStr | None = None
    """PostgreSQL database for everything but readings and archives; without it, SQLite
    files in the data directory."""

    public_base_url: BaseUrl = "http://127.0.0.1:8080"
    """What absolute addresses in answers begin with; never the request's Host."""

    token_secret: Secret | None = None
    """Key that signs access tokens; made in the data directory where not given."""

    token_lifetime: PositiveDuration = timedelta(hours=1)
    """How long an access token works."""

    link_secret: Secret | None = None
    """Key that signs download links; made in the data directory where not given."""

    link_lifetime: PositiveDuration = timedelta(hours=24)
    """How long one download link works; a new one comes with each look."""

    workers: Annotated[int, Ge(1)] = max(1, os.cpu_count() or 1)
    """Processes that render at the same time."""

    worker_niceness: Annotated[int, Ge(0)] = 10
    """How far rendering steps back for the API, as the nice command counts."""

    worker_memory_mb: Annotated[int, Ge(64)] = 256
    """Memory of one worker's query engine, in 10^6 bytes; what needs more is
    written to temporary files."""

    max_chunk_bytes: Annotated[int, Ge(1)] = 8 * 1024 * 1024
    """About how much CSV text a worker holds at once."""

    max_body_bytes: Annotated[int, Ge(1)] = 1024 * 1024
    """Largest JSON body of a request."""

    max_batch_bytes: Annotated[int, Ge(1)] = 32 * 1024 * 1024
    """Largest body of a batch of values. One batch is read at a time; as JSON that
    takes up to about twenty times its bytes."""

    max_import_bytes: Annotated[int, Ge(1)] = 256 * 1024 * 1024
    """Largest file of a data import, as it is sent."""

    max_import_csv_bytes: Annotated[int, Ge(1)] = 1024 * 1024 * 1024
    """Most CSV text of a data import, out of a ZIP as well."""

    max_import_rows: Annotated[int, Ge(1)] = 10_000_000
    """Most rows of a data import."""

    import_retention: PositiveDuration = timedelta(days=30)
    """How long a data import is kept after its end; its readings stay."""

    group_commit_pause: PositiveDuration = timedelta(milliseconds=5)
    """How long a write waits for others to share its commit."""

    compaction_interval: PositiveDuration = timedelta(minutes=5)
    """How often an idle runner looks after the lakes: merges files, gives up what
    has passed."""

    compaction_file_bytes: Annotated[int, Ge(1024 * 1024)] = 256 * 1024 * 1024
    """Largest file that merging makes. Writers wait for a second or two while one of
    this size takes the place of the files in it."""

    snapshot_retention: Annotated[timedelta, Ge(MIN_SNAPSHOT_RETENTION)] = timedelta(
        hours=1
    )
    """How long a state of the lake that has passed stays on the disk; at least half
    an hour. What a PENDING export reads stays longer."""

    runner_pause: PositiveDuration = timedelta(milliseconds=100)
    """How often an idle runner looks for work."""

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is None:
            return None
        try:
            address = urlsplit(url.get_secret_value())
            # Asked for only to see whether it is a number.
            _ = address.port
        except ValueError:
            # What Python says about it may have the password in it.
            raise ValueError(_NO_ADDRESS) from None
        if address.scheme != "postgresql" or not address.path.strip("/"):
            raise ValueError(_NO_ADDRESS)
        return url


def read_settings(**given: Any) -> Settings:  # noqa: ANN401  # checked by the model
    """Read the settings from the environment; what is given here goes first.

    Raises:
        SettingsNotValid: With the variable and the reason of every fault.
    """
    try:
        return Settings(**given)
    except ValidationError as error:
        faults = [
            f"THINGPORT_{str(it['loc'][0]).upper()}: {it['msg']}"
            for it in error.errors()
        ]
        raise SettingsNotValid(faults) from None


@dataclass(frozen=True, slots=True)
class DataDir:
    """Where everything lies in the data directory."""

    root: Path

    @property
    def control_database(self) -> Path:
        """The control database, where it is not on a server."""
        return self.root / "control.sqlite"

    @property
    def lakes(self) -> Path:
        """One lake for each tenant."""
        return self.root / "lakes"

    @property
    def archives(self) -> Path:
        """Plans, segments and archives."""
        return self.root / "archives"

    @property
    def imports(self) -> Path:
        """Files that wait to be imported."""
        return self.root / "imports"

    @property
    def temporary(self) -> Path:
        """What query engines put aside when memory does not suffice."""
        return self.root / "temporary"

    def secret(self, name: str) -> Path:
        """Give the file of a secret that is made at the first start."""
        return self.root / "secrets" / name
