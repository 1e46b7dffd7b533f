"""Whether readings can be stored whole: told before anything is stored."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from thingport.adapters.lake.reading_source import (
    THING,
    ReadingSource,
    SourceColumn,
)
from thingport.domain.errors import InvalidRequest
from thingport.domain.ids import ThingDefinitionId
from thingport.domain.metric import (
    Metric,
    ValueDoesNotFit,
    parse_value,
    retired_message,
)
from thingport.domain.period import MAX_TIMESTAMP_MS, MIN_TIMESTAMP_MS

MAX_FAULTS = 20
"""Most faults told at once; one is often in every row."""

_NAMED_THINGS = 5
"""How many unknown things are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestReport:
    """What was read.

    Attributes:
        rows: Rows with at least one value; the others are skipped.
    """

    rows: int
    values: int
    things: int


@dataclass(frozen=True, slots=True)
class SourceChecks:
    """The checks of the rows of one source.

    Attributes:
        engine: Has the view ``things``.
        definitions: By their place; that place is what the view names.
        metrics: The metrics of each definition by name, those without plain
            values left out.
    """

    engine: duckdb.DuckDBPyConnection
    source: ReadingSource
    definitions: Sequence[ThingDefinitionId]
    metrics: Mapping[ThingDefinitionId, Mapping[str, Metric]]

    def check(self) -> IngestReport:
        """Read all rows once, in bounded memory.

        Raises:
            InvalidRequest: With each fault, by column and row.
        """
        # The keys go first: whose metrics there may be depends on them.
        self._refuse(self._iter_faulty_keys())
        self._refuse(self._iter_unknown_columns())
        report, misfits = self._scan_values()
        self._refuse(
            self._explain(place, column, row) for place, column, row in misfits
        )
        return report

    def _refuse(self, faults: Iterator[str]) -> None:
        told = [fault for fault, _ in zip(faults, range(MAX_FAULTS), strict=False)]
        if told:
            raise InvalidRequest(*told)

    def _iter_unknown_columns(self) -> Iterator[str]:
        known = {name for metrics in self.metrics.values() for name in metrics}
        for column in self.source.columns:
            if column.name not in known:
                yield (
                    f"column {column.name!r}: none of the things has a metric of that"
                    " name"
                )

    def _iter_faulty_keys(self) -> Iterator[str]:
        per_ms = self.source.instants_per_ms
        low, high = MIN_TIMESTAMP_MS * per_ms, (MAX_TIMESTAMP_MS + 1) * per_ms
        thing = self.source.thing_column
        key = "a serial number" if thing == THING else "an id"
        conditions = {
            "thing_key IS NULL": f"{thing}: {key} is due in every row",
            "instant IS NULL": "timestamp: one is due in every row",
            f"instant < {low} OR instant >= {high}": (
                "timestamp: it is not within 1900 to 9999"
            ),
        }
        if per_ms > 1:
            conditions[f"instant % {per_ms} <> 0"] = (
                "timestamp: it has a fraction of a millisecond"
            )
        firsts = ", ".join(f"min(row_number) FILTER ({it})" for it in conditions)
        found = self._one(f"SELECT {firsts} FROM {self.source.relation}")  # noqa: S608  # quoted names
        for row_number, fault in zip(found, conditions.values(), strict=True):
            if row_number is not None:
                yield f"row {int(str(row_number)) + 1}, {fault}"
        yield from self._iter_unknown_serials()

    def _iter_unknown_serials(self) -> Iterator[str]:
        unknown = self.engine.execute(
            f"SELECT thing_key, count(*) OVER () FROM {self.source.relation}"  # noqa: S608  # quoted names
            " ANTI JOIN things USING (thing_key)"
            " WHERE thing_key IS NOT NULL"
            f" GROUP BY thing_key ORDER BY min(row_number) LIMIT {_NAMED_THINGS}"
        ).fetchall()
        if unknown:
            named = ", ".join(str(row[0]) for row in unknown)
            more = int(unknown[0][1]) - len(unknown)
            rest = f" and {more} more" if more else ""
            column = self.source.thing_column
            keys = "serial numbers" if column == THING else "ids"
            yield f"column {column!r}: no things with {keys} {named}{rest}"

    def _scan_values(
        self,
    ) -> tuple[IngestReport, Sequence[tuple[int, SourceColumn, int]]]:
        """Count everything, and find the first misfit of each column and kind."""
        columns = self.source.columns
        has_values = self.source.has_values
        counted = self._ask_each(
            [
                f"count(*) FILTER ({has_values})",
                f"count(DISTINCT thing_key) FILTER ({has_values})",
                *(f"count({it.alias})" for it in columns),
            ]
        )
        report = IngestReport(
            rows=sum(it[0] for it in counted.values()),
            things=sum(it[1] for it in counted.values()),
            values=sum(sum(it[2:]) for it in counted.values()),
        )
        filled = {
            column: [place for place, it in counted.items() if it[2 + number]]
            for number, column in enumerate(columns)
        }
        return report, self._find_misfits(filled)

    def _find_misfits(
        self, filled: Mapping[SourceColumn, Sequence[int]]
    ) -> Sequence[tuple[int, SourceColumn, int]]:
        """Find the first misfits: place of the definition, column and row.

        Args:
            filled: The places of the definitions that have values in each column:
                most columns are those of one definition, and nothing is to be
                asked about the others.
        """
        asked = [
            (column, misfit)
            for column, places in filled.items()
            for misfit in self._iter_misfits(column, places)
        ]
        # Whether there is one is cheap to ask, and where is not.
        are_there = self._ask_each([f"bool_or({misfit})" for _, misfit in asked])
        present = [
            it
            for number, it in enumerate(asked)
            if any(answers[number] for answers in are_there.values())
        ]
        firsts = [f"min(row_number) FILTER ({misfit})" for _, misfit in present]
        found = [
            (place, column, int(row))
            for place, rows in self._ask_each(firsts).items()
            for (column, _), row in zip(present, rows, strict=True)
            if row is not None
        ]
        return sorted(found, key=lambda it: it[2])

    def _ask_each(self, questions: Sequence[str]) -> Mapping[int, Sequence[Any]]:
        """Ask for the same of the rows of each definition; give answers by place."""
        if not questions:
            return {}
        answered = self.engine.execute(
            f"SELECT definition, {', '.join(questions)} FROM {self.source.relation}"  # noqa: S608  # quoted names
            " JOIN things USING (thing_key) GROUP BY definition ORDER BY definition"
        ).fetchall()
        return {int(it[0]): it[1:] for it in answered}

    def _iter_misfits(
        self, column: SourceColumn, places: Sequence[int]
    ) -> Iterator[str]:
        """Give conditions of rows whose value is not one for its thing's metric."""
        by_misfit: dict[str, list[int]] = {}
        for place in places:
            metric = self.metrics[self.definitions[place]].get(column.name)
            misfit = (
                column.misfit(metric.value_type)
                if metric and not metric.is_retired
                else None
            )
            by_misfit.setdefault("true" if misfit is None else misfit, []).append(place)
        for misfit, its_places in by_misfit.items():
            if misfit:
                condition = f"{column.alias} IS NOT NULL AND ({misfit})"
                if len(its_places) < len(places):
                    listed = ", ".join(map(str, its_places))
                    condition += f" AND definition IN ({listed})"
                yield condition

    def _explain(self, place: int, column: SourceColumn, row_number: int) -> str:
        thing_key, value = self._one(
            f"SELECT thing_key, {column.alias} FROM {self.source.relation}"  # noqa: S608  # quoted names
            f" WHERE row_number = {row_number:d}"
        )
        metric = self.metrics[self.definitions[place]].get(column.name)
        return (
            f"row {row_number + 1} (thing {thing_key}), column {column.name!r}:"
            f" {_reason(metric, column, value)}"
        )

    def _one(self, query: str) -> Sequence[object]:
        row: Sequence[object] | None = self.engine.execute(query).fetchone()
        return row or ()


def _reason(metric: Metric | None, column: SourceColumn, value: object) -> str:
    if metric is None:
        return "the thing has no such metric"
    if metric.is_retired:
        return retired_message(metric)
    if column.misfit(metric.value_type) is None:
        return f"not a {metric.value_type}: the column holds {column.type}"
    try:
        parse_value(metric.value_type, value)
    except ValueDoesNotFit as misfit:
        return str(misfit)
    return f"not a {metric.value_type}"
