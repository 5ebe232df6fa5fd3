"""Every table's columns, said once."""
