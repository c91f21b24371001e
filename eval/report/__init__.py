"""The report of a run: tables, charts and page, made from the files of its folder."""
