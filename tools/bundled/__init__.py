"""Programs that made the bundled network and the bundled generator: synthetic images and two trainings.

The library does not need them; `python -m tools.bundled --help` lists what can be made again.
"""
