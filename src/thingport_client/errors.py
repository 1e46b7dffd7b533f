"""What a call to the service can end in."""


class ClientError(Exception):
    """A call did not give what was asked for."""


class Refused(ClientError):
    """The service said no.

    Attributes:
        status: HTTP status.
        message: The service's own words.
        retry_after_s: Seconds after which a new try is worth it, if it said so.
    """

    def __init__(self, status: int, message: str, retry_after_s: int | None) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message
        self.retry_after_s = retry_after_s


class ExportFailed(ClientError):
    """An export ended in ERROR; there is no archive."""

    def __init__(self, data_export_id: str, reason: str) -> None:
        super().__init__(f"data export {data_export_id} failed: {reason}")
        self.data_export_id = data_export_id
        self.reason = reason


class ImportFailed(ClientError):
    """An import ended in ERROR; nothing of the file was stored."""

    def __init__(self, data_import_id: str, reason: str) -> None:
        super().__init__(f"data import {data_import_id} failed: {reason}")
        self.data_import_id = data_import_id
        self.reason = reason


class BrokenDownload(ClientError):
    """An archive arrived shorter or longer than announced; no file was kept."""
