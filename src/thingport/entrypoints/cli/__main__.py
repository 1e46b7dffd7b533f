"""``python -m thingport.entrypoints.cli``, the same as ``thingport``."""

from thingport.entrypoints.cli.main import main

main()
