"""From a CSV file or a workbook to meetings and attendees, with every problem in one go.

`source` is the one door: it says which file, still and whole, and reads it.
A `Table` is a file's cells; a `Column` says what a cell is, and a `PlacedColumn` where the file has it.
A problem of the file refuses it; a problem of a row refuses it too, unless faulty rows are left out.
"""
