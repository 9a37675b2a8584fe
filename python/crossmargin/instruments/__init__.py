"""Securities and futures: schedules, prices, contract rules, baskets, and terms as arrays."""
