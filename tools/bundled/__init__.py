"""How the bundled network and the bundled generator were made: a drawn world of pictures and two trainings.

Nothing here is needed to use the engine; `python -m tools.bundled --help` shows what can be made again.
"""
