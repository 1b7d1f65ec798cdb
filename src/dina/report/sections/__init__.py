"""The sections of the page, one file for each kind of question."""
