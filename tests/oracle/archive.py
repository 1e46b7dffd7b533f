"""The files of a whole export, from nothing but what was written and asked for.

One loop for each rule. It shares no line with what makes the archives: what the
two agree on was said twice.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import numpy as np

from oracle.selection import selected
from oracle.visibility import sees
from strategies import Catalogue
from thingport.domain.actor import Entity
from thingport.domain.catalogue import PlacedThing, Thing
from thingport.domain.data_export import DataExportRequest, TimestampFormat
from thingport.domain.ids import MetricId
from thingport.domain.metric import Metric, Value, ValueType
from thingport.domain.period import Period
from thingport.domain.reading import Reading

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)

_RESERVED = '<>:"/\\|?*'

_INVISIBLE = (
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    "\u2028",
    "\u2029",
    "\u200e",
    "\u200f",
    *map(chr, range(0x202A, 0x202F)),
    *map(chr, range(0x2066, 0x206A)),
    "\ufeff",
)

_DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"
}


def expected_files(
    catalogue: Catalogue,
    entity: Entity,
    readings: Sequence[Reading],
    request: DataExportRequest,
) -> dict[str, str]:
    """Give the text of each file of an export, by name.

    Args:
        catalogue: As it was at scheduling.
        entity: Whose user asks.
        readings: All that were written before, in that order.
        request: One that nothing is wrong with.
    """
    exported = [
        (thing, columns)
        for thing, columns in selected(catalogue, request.selection)
        if sees(catalogue, entity, catalogue.place(thing))
    ]
    names = file_names(catalogue, [thing for thing, _ in exported], request)
    return {
        name: csv_text(thing, columns, readings, request)
        for name, (thing, columns) in zip(names, exported, strict=True)
    }


# --- content -------------------------------------------------------------------


def csv_text(
    thing: Thing,
    columns: Sequence[Metric],
    readings: Sequence[Reading],
    request: DataExportRequest,
) -> str:
    """Give the whole text of one file."""
    found = cells_by_timestamp(thing, columns, readings, request.selection.period)
    lines = [["TIMESTAMP", *(quote(it) for it in headers(columns, request))]]
    for timestamp_ms in sorted(found):
        values = found[timestamp_ms]
        line = [timestamp_text(timestamp_ms, request.rendition.timestamp_format)]
        for metric in columns:
            is_there = metric.id in values
            line.append(value_text(metric, values[metric.id]) if is_there else "")
        lines.append(line)
    return "".join(",".join(line) + "\r\n" for line in lines)


def cells_by_timestamp(
    thing: Thing, columns: Sequence[Metric], readings: Sequence[Reading], period: Period
) -> dict[int, dict[MetricId, Value]]:
    """Let later values replace earlier ones, metric by metric."""
    found: dict[int, dict[MetricId, Value]] = {}
    for reading in readings:
        if reading.thing_id != thing.id:
            continue
        if period.start_ms is not None and reading.timestamp_ms < period.start_ms:
            continue
        if period.end_ms is not None and reading.timestamp_ms >= period.end_ms:
            continue
        for metric in columns:
            if metric.id in reading.values:
                row = found.setdefault(reading.timestamp_ms, {})
                row[metric.id] = reading.values[metric.id]
    return found


def headers(columns: Sequence[Metric], request: DataExportRequest) -> list[str]:
    """Give the headers of the metrics, before CSV quoting."""
    texts = [it.name for it in columns]
    if request.rendition.include_unit:
        texts = [f"{it.name} [{it.unit}]" if it.unit else it.name for it in columns]
    while True:
        folded = [it.casefold() for it in ("TIMESTAMP", *texts)]
        equal = [folded.count(it.casefold()) > 1 for it in texts]
        if not any(equal):
            return [guard(it) for it in texts]
        for place, metric in enumerate(columns):
            if equal[place]:
                texts[place] += f" ({metric.id})"


def timestamp_text(timestamp_ms: int, written_as: TimestampFormat) -> str:
    """Write an instant."""
    if written_as is TimestampFormat.EPOCH_MILLIS:
        return str(timestamp_ms)
    instant = datetime(1970, 1, 1) + timedelta(milliseconds=timestamp_ms)  # noqa: DTZ001 - the Z is written below
    return f"{instant.isoformat(timespec='milliseconds')}Z"


def value_text(metric: Metric, value: Value) -> str:
    """Write a value as it stands in the file; a zero has no sign."""
    if metric.value_type is ValueType.STRING:
        return quote(guard(str(value)))
    if metric.value_type is ValueType.BOOLEAN:
        return "true" if value else "false"
    if metric.value_type in {ValueType.INTEGER, ValueType.LONG}:
        return str(int(value))
    if metric.value_type is ValueType.FLOAT:
        return float32_text(float(value))
    return repr(float(value) + 0.0)


def float32_text(number: float) -> str:
    """Write the fewest digits that name a 32-bit float, laid out as ``repr`` does."""
    shortest = np.format_float_scientific(np.float32(number), unique=True)
    # They are at most nine, so a 64-bit float keeps them and prints no others.
    return repr(float(shortest) + 0.0)


def guard(text: str) -> str:
    """Keep spreadsheets from taking a text for a formula."""
    is_suspect = text.startswith(("=", "+", "-", "@", "'", "\t", "\r"))
    return f"'{text}" if is_suspect and not _NUMBER.fullmatch(text) else text


def quote(text: str) -> str:
    """Put quotes around a text that needs them; an empty one does."""
    if text == "" or any(it in text for it in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


# --- names ---------------------------------------------------------------------


def file_names(
    catalogue: Catalogue, things: Sequence[Thing], request: DataExportRequest
) -> list[str]:
    """Name the file of each thing, in the same order."""
    mask = request.rendition.thing_file_name
    stems = [
        safe_name(fill(mask, catalogue, catalogue.place(it))) or it.id for it in things
    ]
    while len({_without_case(it) for it in stems}) < len(stems):
        folded = [_without_case(it) for it in stems]
        stems = [
            f"{stem}_{thing.id}" if folded.count(_without_case(stem)) > 1 else stem
            for stem, thing in zip(stems, things, strict=True)
        ]
    if request.rendition.hash_thing_file_name:
        stems = [hashlib.md5(it.encode()).hexdigest() for it in stems]
    return [f"{it}.csv" for it in stems]


def fill(mask: str, catalogue: Catalogue, placed: PlacedThing) -> str:
    """Put values in the place of placeholders; one that is absent leaves nothing.

    What a value says is no placeholder, whatever it looks like.
    """
    known = dict(_placeholders(catalogue, placed))
    parts = mask.split("${")
    filled = parts[0]
    for part in parts[1:]:
        placeholder, _, rest = part.partition("}")
        filled += known.get(placeholder, "") + rest
    return filled


def _placeholders(
    catalogue: Catalogue, placed: PlacedThing
) -> Iterable[tuple[str, str]]:
    thing, customer, location = placed.thing, placed.customer, placed.location
    [definition] = [
        it for it in catalogue.thing_definitions if it.id == thing.thing_definition_id
    ]
    yield "thing.serialNumber", thing.serial_number
    for model in catalogue.product_models:
        if model.id == thing.product_model_id:
            yield "productModel.id", model.id
            yield "productModel.name", model.name
    for word, entity in (
        ("thing", thing),
        ("thingDefinition", definition),
        ("customer", customer),
        ("location", location),
    ):
        if entity is not None:
            yield f"{word}.id", entity.id
            yield f"{word}.name", entity.name
            for name, value in entity.properties.items():
                yield f"{word}.properties.{name}", value


def safe_name(name: str) -> str:
    """Make a name one path component that every file system takes."""
    safe = ""
    was_replaced = False
    for character in name:
        is_unsafe = character in _RESERVED or character in _INVISIBLE
        if not is_unsafe:
            safe += character
        elif not was_replaced:
            safe += "_"
        was_replaced = is_unsafe
    safe = _clip(safe)
    first_word = safe.split(".")[0].rstrip().lower()
    return _clip(f"_{safe}") if first_word in _DEVICES else safe


def _clip(name: str) -> str:
    """Take dots and blanks off both ends, and what is over 200 bytes."""
    name = _bare(name)
    while len(name.encode()) > 200:
        name = name[:-1]
    return _bare(name)


def _bare(name: str) -> str:
    while name and (name[0] == "." or name[0].isspace()):
        name = name[1:]
    while name and (name[-1] == "." or name[-1].isspace()):
        name = name[:-1]
    return name


def _without_case(name: str) -> str:
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())
