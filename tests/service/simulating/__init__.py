"""Simulations of other strategies over logged decisions."""
