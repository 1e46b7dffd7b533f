"""The client of Thingport, and of every service that speaks the same wire."""
