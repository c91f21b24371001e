"""The report of a run: its tables, charts and page, from what its files hold."""
