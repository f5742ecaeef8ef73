"""How quick tinynet is, for those who change it. Measure on a quiet machine.

`python -m benchmarks` (or `make bench`) is `tinynet.benchmarks`: whole training steps beside other
systems. Three programs stand alone: `eager.py` times single operations beside PyTorch's in one
process, `opencl.py` the OpenCL backend's kernels, `memory.py` shows whether memory stays flat.
"""
