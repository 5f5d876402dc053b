"""Tables of mixed columns: numbers, categories, dates and missing cells as a matrix of numbers, and back."""

from isthmus.tables._categories import CategoryColumn
from isthmus.tables._column import Column
from isthmus.tables._fixed import ConstantColumn, EmptyColumn, OmittedColumn
from isthmus.tables._frame import Frame, is_table, to_pandas
from isthmus.tables._numbers import NumberColumn
from isthmus.tables._times import DurationColumn, TimeColumn
from isthmus.tables.codec import TableCodec

__all__ = [
    "CategoryColumn",
    "Column",
    "ConstantColumn",
    "DurationColumn",
    "EmptyColumn",
    "Frame",
    "NumberColumn",
    "OmittedColumn",
    "TableCodec",
    "TimeColumn",
    "is_table",
    "to_pandas",
]
