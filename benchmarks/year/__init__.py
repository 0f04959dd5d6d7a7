"""`make year`: 365 nights on real digits, with faults planted beforehand and a score card of which were caught.

`planted` decides what goes wrong when, `person` is whoever owns the Drive folder, `nights` spends a night plainly,
killed or starved. `in_folder` and `at_night` do what was planned and look whether it was caught, `year` remembers that,
`policies` reads held-out digits by the champion, and `card` has the outcome.
"""
