"""How quick tinynet is. Measure on a quiet machine: no speed is promised anywhere.

`tinynet bench` times whole training steps of tinynet and PyTorch, each in a process of its own;
`python -m tinynet.benchmarks` (in the sources also `python -m benchmarks`, or `make bench`) has JAX
and tinygrad too, and with `epoch` times epochs of MNIST:

- `__main__.py`: the options, and the two runs;
- `workloads.py`: the networks, with their first weights and their batches; `language.py` has two;
- `steps.py`: a training step of each workload in each system;
- `worker.py`: the process that a system runs in;
- `rounds.py`: the workers' turns, what they took and whether their losses agree;
- `machine.py`: what is installed, and on which machine;
- `report.py`: the header, the table, the JSON file, the picture.
"""
