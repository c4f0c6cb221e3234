"""Usage and money: events, the segment log, rating, prices and what is reported of them."""
