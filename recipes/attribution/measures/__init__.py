"""Is a heat map true? One measure a file, each a pure function from maps, pictures and a network to a number a picture.

- `pointing`: does the map point at the thing, where a box says where it is?
- `curves`: does the score fall, or rise, fastest where the map says that it must?
- `infidelity`: does the map say how much the score falls when a part of the picture goes?
- `randomisation`: does the map change when the network forgets what it has learned?
- `sensitivity`: does the map change with the target?
- `shift`: does the map stay when a shift of the input means nothing to the network?

`judging.judge` takes all of them of one method; `alike` compares two maps.
"""
