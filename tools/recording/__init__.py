"""Recordings of pi0 and pi0.5 policies as PyTorch runs them; the format is in docs/recordings.md.

both_files.py    what record.py does: the two recordings of one call
network.py       the stages of one call of the network (both families have the same classes)
observation.py   what a robot gives: camera images, state, text, noise; from files or drawn
whole_way.py     the file of raw inputs and the robot's actions
weights.py       a checkpoint's tensors into a PyTorch model, with errors
reduced.py       the model classes at other sizes than their variants' (for tests)
from_lerobot.py  a lerobot policy with its processors
lerobot_inputs.py  what a policy of any lerobot release is given
from_lerobot_0_3.py  lerobot 0.3's policy, which has no processors (for goldens)
from_openpi.py   openpi's PyTorch model with openpi's formulas around it
"""
