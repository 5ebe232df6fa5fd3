"""Gaps cut into measured series, estimated by the platform's own cascade, and compared with what was measured.

Belongs here: where gaps are cut, what estimates make of them under each edition of a rule book, and the figures. Does
not belong here: the estimators (``vee/``), and what a simulation says (the rest of ``scoring/``).
"""
