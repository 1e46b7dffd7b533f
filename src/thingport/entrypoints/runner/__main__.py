"""``python -m thingport.entrypoints.runner``."""

from thingport.entrypoints.runner.main import main

main()
