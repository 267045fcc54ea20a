"""Damage done on purpose, in processes with limits: what `damage_test.py` and `kill_test.py` are made of."""
