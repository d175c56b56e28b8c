"""The pure heart of Playhead: events, pipelines of nodes, contexts.

Read `events`, then `pipeline` and `context`; `registry` says which pipeline an event has.
Nothing here knows a clock, a database, a network or a log: time, ids and randomness arrive as values.
"""
