"""Validation, estimation and editing (VEE): the domain core.

Pure functions on NumPy arrays. Nothing in this package imports Dagster, opens a file or reads a clock.

Every rule and estimator names its source under References; what has none is our own choice and says so. Named in short:

- California DASMMD (1999): California Public Utilities Commission, Direct Access Standards for Metering and Meter Data,
  attachment VEE, Standards for Validating, Editing, and Estimating Monthly and Interval Data; section A is on interval
  data, section B on monthly data.
- ElWG: Austria, Elektrizitätswirtschaftsgesetz, par. 55 Ersatzwertbildung, of 2025.
- IESO: Canada, Ontario, MDP_STD_0002 Validating, Estimating and Editing (2004).
- OBIS: IEC 62056-6-1, Electricity metering data exchange, The DLMS/COSEM suite, Part 6-1: Object Identification System.
"""
