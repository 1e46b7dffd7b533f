"""The client of Thingport, and of every service that speaks the same wire."""

from thingport_client.client import Client
from thingport_client.errors import (
    BrokenDownload,
    ClientError,
    ExportFailed,
    ImportFailed,
    Refused,
)

__all__ = [
    "BrokenDownload",
    "Client",
    "ClientError",
    "ExportFailed",
    "ImportFailed",
    "Refused",
]
