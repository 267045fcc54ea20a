"""What all tests share."""

import torch
from hypothesis import settings

# The models of the tests are so small that threads would only wait for each other.
torch.set_num_threads(1)

# No test may fail because the machine is busy, nor pass today and fail tomorrow.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")
