"""Values, rules and pure functions; knows only Python."""
