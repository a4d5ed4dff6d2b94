"""Tables: one reader a format, then which column is what, then what the labels say."""

from frontrunner.data.tables.reading import WORKBOOK, is_table, read_table
from frontrunner.data.tables.table import Table

__all__ = ["WORKBOOK", "Table", "is_table", "read_table"]
