"""The microscope: all units of a network as a site of static pages, from the runs of other recipes."""
