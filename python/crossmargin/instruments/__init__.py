"""Securities and futures: schedules, prices, contract rules, baskets, and their terms as arrays."""
