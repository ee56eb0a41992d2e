"""Policies for many robots and simulators, on many machines."""
