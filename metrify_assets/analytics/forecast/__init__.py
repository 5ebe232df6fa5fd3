"""Forecasts of load, a day and a week ahead, from its own history and the calendar.

The way of a forecast: ``series`` (values by local day and slot) -> ``features`` (by issue day, only what was known)
-> ``ridge`` (one regression per slot) -> ``correction`` (of its latest errors) -> ``intervals`` (P10 and P90) ->
``champion`` (model, else similar day, else median). ``backtest`` goes that way for every day of a past window.
"""
