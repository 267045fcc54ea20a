"""What all tests share."""

import torch

# The models of the tests are so small that threads would only wait for each other.
torch.set_num_threads(1)
