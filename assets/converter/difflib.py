"""Stands in for ``difflib`` in the browser: a page offers its names, so nobody misspells one."""


def get_close_matches(*arguments, **options):
    return []
