"""The control database, through SQLAlchemy Core."""
