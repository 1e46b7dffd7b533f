"""The process that renders exports."""
