"""From an output folder into a paper: labelled sheets, tables, and the references of the methods used."""
