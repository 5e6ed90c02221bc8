"""Other models, when the wanted one cannot be had: a decision that a person can read and refuse, never a pretence.

`facts` and `requirements` are what is compared, `gates` and `score` how, `decide` puts it together without disk or
network; `observing` and `probing` look, `standing` remembers what was decided, `consider` is the way through all of
them. Other bytes are other models: who delivers the same bytes is a matter of sources and not of this room.
"""
