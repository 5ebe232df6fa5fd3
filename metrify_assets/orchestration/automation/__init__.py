"""Jobs, sensors and schedules; the decisions are pure functions."""
