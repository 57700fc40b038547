"""Every knob, a table for each verb: its unit, range, default and reason."""
