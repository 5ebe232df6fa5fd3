"""Working with what could not be read: counts, single rows, and reading again after a feed was corrected.

Belongs here: everything behind ``metrify quarantine``. Does not belong here: why a row is refused (``feeds/``) and
findings on values that were read (``vee/``).
"""
