"""Tariffs as data, and what a month costs by them: to the cent, or refused with a reason and numbers."""
