"""Every name that tinynet promises is there: as a function, a method, or both."""

import pytest

torch = pytest.importorskip("torch")

import tinynet as tn  # noqa: E402

BOTH = """
    reshape flatten unflatten squeeze unsqueeze permute transpose swapaxes movedim broadcast_to tile
    repeat_interleave flip roll rot90 split chunk unbind diag diagonal diag_embed tril triu narrow
    select as_strided
    gather scatter scatter_add scatter_reduce index_select index_add index_put masked_select
    masked_fill where take take_along_dim nonzero
    neg abs sign sqrt rsqrt square reciprocal exp exp2 expm1 log log2 log10 log1p sin cos tan asin
    acos atan atan2 sinh cosh tanh asinh acosh atanh sigmoid logit erf floor ceil round trunc isnan
    isinf isfinite nan_to_num clamp clip lerp logaddexp copysign add sub mul div floor_divide
    remainder fmod pow maximum minimum addcmul addcdiv eq ne lt le gt ge isclose allclose equal
    logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor bitwise_not
    bitwise_left_shift bitwise_right_shift
    sum mean prod max min amax amin argmax argmin any all var std norm logsumexp cumsum cumprod
    cummax cummin logcumsumexp count_nonzero median sort argsort topk unique bincount
    matmul mm bmm mv dot outer addmm baddbmm trace softmax log_softmax clone
""".split()
FUNCTIONS = """
    tensor zeros ones full empty eye arange linspace logspace zeros_like ones_like full_like
    empty_like tril_indices triu_indices meshgrid from_numpy from_dlpack asarray stack cat hstack
    vstack concatenate manual_seed Generator rand randn randint randperm normal bernoulli
    multinomial rand_like randn_like var_mean std_mean einsum tensordot no_grad enable_grad
    inference_mode set_grad_enabled
""".split()
METHODS = """
    shape ndim dtype device grad requires_grad is_leaf grad_fn T mT size numel element_size item
    tolist numpy __array__ __dlpack__ __len__ __iter__ __bool__ __repr__ __format__ contiguous
    is_contiguous requires_grad_ detach
    to cpu type_as float double half int long bool copy_ zero_ fill_
    add_ sub_ mul_ div_ clamp_ __setitem__ __deepcopy__ backward register_hook view expand expand_as
    repeat unfold uniform_ normal_ bernoulli_
""".split()
AUTOGRAD = "grad Function gradcheck gradgradcheck set_detect_anomaly functional backward".split()
LINALG = "norm inv solve cholesky qr svd".split()


def is_there(owner, name):
    return hasattr(owner, name) or name in getattr(owner, "__annotations__", {})


@pytest.mark.parametrize("name", BOTH + FUNCTIONS)
def test_function(name):
    assert hasattr(torch, name)
    assert hasattr(tn, name)


@pytest.mark.parametrize("name", BOTH + METHODS)
def test_method(name):
    assert hasattr(torch.Tensor, name)
    assert is_there(tn.Tensor, name) or hasattr(tn.tensor(1.0), name)


@pytest.mark.parametrize("name", AUTOGRAD)
def test_autograd(name):
    assert hasattr(torch.autograd, name)
    assert hasattr(tn.autograd, name)


@pytest.mark.parametrize("name", LINALG)
def test_linalg(name):
    assert hasattr(torch.linalg, name)
    assert hasattr(tn.linalg, name)


@pytest.mark.parametrize("name", "zeros ones full empty eye arange linspace rand randn".split())
def test_creation_on_tensor_too(name):
    arguments = {"full": ((2, 3), 1.0), "arange": (4,), "eye": (2,), "linspace": (0, 1, 3)}
    made = getattr(tn.Tensor, name)(*arguments.get(name, ((2, 3),)))
    assert isinstance(made, tn.Tensor)


@pytest.mark.parametrize("operator", "+ - * / // % ** @ & | ^ << >> == != < <= > >=".split())
def test_operators(operator):
    names = {
        "+": "add", "-": "sub", "*": "mul", "/": "truediv", "//": "floordiv", "%": "mod",
        "**": "pow", "@": "matmul", "&": "and", "|": "or", "^": "xor", "<<": "lshift",
        ">>": "rshift", "==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge",
    }  # fmt: skip
    assert f"__{names[operator]}__" in vars(tn.Tensor)


# What PyTorch has and tinynet leaves out: lazy and distributed modules, other names of the same.
NN_LEFT_OUT = set(
    """
    AdaptiveLogSoftmaxWithLoss Buffer CTCLoss Container CrossMapLRN2d DataParallel
    FractionalMaxPool2d FractionalMaxPool3d LinearCrossEntropyLoss LinearCrossEntropyOptions
    NLLLoss2d RNNBase RNNCellBase SyncBatchNorm UninitializedBuffer UninitializedParameter
""".split()
)
OPTIM_LEFT_OUT = {"SparseAdam"}


def classes_in(module):
    return {name for name, value in vars(module).items() if isinstance(value, type)}


def test_modules():
    names = {name for name in classes_in(torch.nn) if not name.startswith("Lazy")}
    assert names - set(dir(tn.nn)) == NN_LEFT_OUT & names


def test_initialisers():
    names = {name for name in vars(torch.nn.init) if name.endswith("_") and name[0] != "_"}
    assert names <= set(dir(tn.nn.init))


def test_optimisers_and_schedules():
    assert classes_in(torch.optim) - set(dir(tn.optim)) == OPTIM_LEFT_OUT
    names = {name for name in torch.optim.lr_scheduler.__all__ if name[0].isupper()}
    assert names <= set(dir(tn.optim.lr_scheduler))


@pytest.mark.parametrize(
    "module", [torch.nn.LSTM, torch.nn.Linear, torch.nn.TransformerEncoderLayer, torch.nn.Module]
)
def test_methods_of_modules(module):
    left_out = set(
        """
        T_destination call_super_init compile cuda dump_patches get_extra_state ipu mtia
        register_backward_hook set_extra_state share_memory xpu
        get_expected_cell_size get_expected_hidden_size permute_hidden check_forward_args
        check_hidden_size check_input
    """.split()
    )
    names = {name for name in dir(module) if not name.startswith("_")}
    assert names - set(dir(getattr(tn.nn, module.__name__))) <= left_out
