"""The plan of an export: which things, which columns, which spans, which view.

Made at scheduling and frozen with everything that could change later: names,
headers and units are texts here, not references.
"""

from dataclasses import dataclass
from datetime import datetime

from thingport.domain.data_export import TimestampFormat
from thingport.domain.ids import MetricId, TenantId, ThingDefinitionId, ThingId
from thingport.domain.metric import ValueType
from thingport.domain.period import Period


@dataclass(frozen=True, slots=True)
class PlannedColumn:
    """One column of a CSV file.

    Attributes:
        header: As it stands in the file, before CSV quoting: with its unit, the
            suffix of an equal one, and the text guard.
    """

    metric_id: MetricId
    value_type: ValueType
    header: str


@dataclass(frozen=True, slots=True)
class PlannedLayout:
    """The columns that some files share, and the definition whose table holds them."""

    thing_definition_id: ThingDefinitionId
    columns: tuple[PlannedColumn, ...]


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One CSV file of the archive.

    Attributes:
        name: With extension; unique in the archive, compared without case.
        layout: Index into :attr:`ExportPlan.layouts`.
    """

    thing_id: ThingId
    name: str
    layout: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPlan:
    """All that rendering needs to know; the archive's order is that of ``files``.

    Attributes:
        snapshot: The lake's snapshot to read at; ``None`` if the tenant had no
            readings at all.
        scheduled_at: In UTC; also the time stamp of every file in the archive.
        files: Files of equal layout stand together, by thing id.
    """

    tenant_id: TenantId
    snapshot: int | None
    scheduled_at: datetime
    period: Period
    timestamp_format: TimestampFormat
    layouts: tuple[PlannedLayout, ...]
    files: tuple[PlannedFile, ...]


@dataclass(frozen=True, slots=True)
class ThingSurvey:
    """What a thing has in a period at a snapshot.

    Attributes:
        rows: Stored rows, before equal timestamps merge.
        text_bytes: Bytes of its text values in the planned columns.
    """

    rows: int
    text_bytes: int


@dataclass(frozen=True, slots=True)
class SurveyedSpan:
    """A span of a large thing, and what it has in it."""

    period: Period
    rows: int


@dataclass(frozen=True, slots=True)
class WholeThings:
    """A chunk of one or more whole things.

    Attributes:
        number: Its place in the archive, from 0.
        first_file: Index of its first file in the plan.
        end_file: Index after its last one. All have the same layout.
        rows: Stored rows in it, before equal timestamps merge.
    """

    number: int
    first_file: int
    end_file: int
    rows: int


@dataclass(frozen=True, slots=True)
class ThingSpan:
    """A chunk that is one span of a thing too large to be rendered at once.

    Attributes:
        number: Its place in the archive, from 0.
        file: Index of its file in the plan.
        period: The span; within the plan's period.
        is_first: Whether the file begins here, with its header row.
        is_last: Whether the file ends here.
        rows: Stored rows in it, before equal timestamps merge.
    """

    number: int
    file: int
    period: Period
    is_first: bool
    is_last: bool
    rows: int


Chunk = WholeThings | ThingSpan
"""The unit of work: its memory is bounded, whatever the size of the export."""
