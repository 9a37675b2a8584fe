"""Charges on top of V (methodology, section 5): a module each, one shape, one registry."""

from crossmargin.margin.charges.charge import Charge, Charged, ChargeInputs
from crossmargin.margin.charges.registry import CHARGES, charge_book, prepare_charges

__all__ = [
    "CHARGES",
    "Charge",
    "ChargeInputs",
    "Charged",
    "charge_book",
    "prepare_charges",
]
