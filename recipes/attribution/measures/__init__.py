"""Evaluation of heat maps: one measure a module, a pure function from maps, images and a network to values per image.

- `pointing`: does the map point at the object inside the annotated boxes?
- `curves`: does the score fall (deletion) or rise (insertion) fastest for the pixels that the map ranks highest?
- `infidelity`: does the map predict how much the score drops when a part of the image is removed?
- `randomisation`: does the map change when the network's weights are randomised?
- `sensitivity`: does the map change with the target?
- `shift`: does the map stay the same under an input shift that the network compensates?

`judge.Judge` applies all of them to one method; `similarity` compares two maps.
"""
