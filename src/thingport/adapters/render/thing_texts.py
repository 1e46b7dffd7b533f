"""The whole CSV text of each file in a chunk."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from thingport.adapters.render.csv_text import ThingRows, header_line, iter_thing_rows
from thingport.adapters.render.merge import iter_merged
from thingport.application.ports import RowBatch
from thingport.domain.errors import CorruptData
from thingport.domain.export_plan import ExportPlan
from thingport.domain.ids import ThingId


@dataclass(slots=True)
class ThingText:
    """The text of one file, or of one span of it, as far as it has come.

    Attributes:
        file: Index of the file in the plan.
        pieces: One after the other they are the text.
    """

    file: int
    pieces: list[bytes | memoryview]
    rows: int = 0
    first_ms: int | None = None
    last_ms: int | None = None

    def append(self, found: ThingRows) -> None:
        """Add later rows."""
        self.pieces.append(found.text)
        self.rows += found.rows
        if self.first_ms is None:
            self.first_ms = found.first_ms
        self.last_ms = found.last_ms


def iter_thing_texts(
    plan: ExportPlan, files: range, batches: Iterable[RowBatch], *, with_header: bool
) -> Iterator[ThingText]:
    """Yield the text of every file, in their order, also of one without rows.

    Lazy: holds one file's text and what ``iter_merged`` holds.

    Raises:
        CorruptData: Rows are out of order, of a thing that is not among the files,
            or not what the layout says.
    """
    layout = plan.layouts[plan.files[files.start].layout]
    header = [header_line(layout)] if with_header else []
    file_of = {plan.files[it].thing_id: it for it in files}
    text = ThingText(files.start, [*header])
    for rows in iter_merged(layout, batches):
        for found in iter_thing_rows(rows, plan.timestamp_format):
            file = _find_file(file_of, found.thing_id, text.file)
            while text.file < file:
                yield text
                text = ThingText(text.file + 1, [*header])
            text.append(found)
    yield text
    for file in range(text.file + 1, files.stop):
        yield ThingText(file, [*header])


def _find_file(file_of: dict[ThingId, int], thing_id: ThingId, present: int) -> int:
    file = file_of.get(thing_id)
    if file is None:
        raise CorruptData(f"rows of thing {thing_id} are not of this chunk")
    if file < present:
        raise CorruptData(f"the rows of thing {thing_id} are out of order")
    return file
