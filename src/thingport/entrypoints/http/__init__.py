"""The wire: routes, bodies, errors."""
