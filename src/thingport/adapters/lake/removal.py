"""How values of one metric are taken out of a table."""

from collections.abc import Sequence
from dataclasses import dataclass

from thingport.adapters.lake.lake_names import KEY_COLUMNS, qualified, quote
from thingport.domain.reading import ValueDeletion


@dataclass(frozen=True, slots=True)
class Removal:
    """Which values go, in the words of SQL.

    Attributes:
        column: Where the values are.
        columns: All that the table has.
    """

    table: str
    column: str
    columns: Sequence[str]
    deletion: ValueDeletion

    @property
    def parameters(self) -> list[object]:
        """What stands for the question marks, the same in each statement."""
        period = self.deletion.period
        bounds = (period.start_ms, period.end_ms)
        return [self.deletion.thing_id, *(it for it in bounds if it is not None)]

    @property
    def statements(self) -> Sequence[str]:
        """What is to be run in this order, in one transaction.

        First every row that has other values is added once more, without the one
        to go; then the rows with a value to go are removed. What was added has
        none, so it stays.
        """
        remove = f"DELETE FROM {self._matching}"  # noqa: S608  # quoted names
        own = {*KEY_COLUMNS, self.column}
        others = [quote(it) for it in self.columns if it not in own]
        if not others:
            return [remove]
        columns = ", ".join([*KEY_COLUMNS, *others])
        has_others = " OR ".join(f"{it} IS NOT NULL" for it in others)
        keep = (
            f"INSERT INTO {qualified(self.table)} ({columns})"  # noqa: S608  # quoted names
            f" SELECT {columns} FROM {self._matching} AND ({has_others})"
            " ORDER BY thing, ts, written_seq"
        )
        return [keep, remove]

    @property
    def _matching(self) -> str:
        period = self.deletion.period
        conditions = ["thing = ?", f"{quote(self.column)} IS NOT NULL"]
        if period.start_ms is not None:
            conditions.append("ts >= ?")
        if period.end_ms is not None:
            conditions.append("ts < ?")
        return f"{qualified(self.table)} WHERE {' AND '.join(conditions)}"
