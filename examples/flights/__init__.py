"""Flights: every departure from New York in 2013, as commands, events and questions."""
