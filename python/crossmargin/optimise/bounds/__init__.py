"""A lower bound on what any choice of futures can cost, by branch and bound.

Methodology, section 9. A box says how many contracts of each line lie in the cross-margin account,
at least and at most. On a box every V is bounded by linear functions of the choice. Their smallest
values over the box bound the call of every choice in it. The boxes with the lowest bounds are cut
in two until all bounds are close to the best known call.
"""
