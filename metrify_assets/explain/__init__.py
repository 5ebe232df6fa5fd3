"""Why a day of a point is what it is: what was delivered, which rules fired, what was estimated from what.

Belongs here: the record of the explanation and its rendering as text and plot. Does not belong here: anything that
decides on a value (``vee/``, ``days/``); what is shown comes from the functions that compute the day.
"""
