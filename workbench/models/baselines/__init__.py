"""Nets that IndRNNs are compared with."""
