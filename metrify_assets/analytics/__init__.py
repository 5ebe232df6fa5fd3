"""Analytics: what follows from clean data. The first part is the forecast of load."""
