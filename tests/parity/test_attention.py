"""Attention and transformers beside PyTorch's, from the same weights, on both devices."""

import itertools

import pytest

torch = pytest.importorskip("torch")

import tinynet as tn  # noqa: E402
from tests.parity import comparing  # noqa: E402
from tests.parity.comparing import differences, to_numpy  # noqa: E402
from tinynet.errors import TinynetError  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*nested_tensor", "ignore:.*mismatched .*mask")

DTYPES = {torch.float32: (1e-5, 1e-5), torch.float64: (1e-10, 1e-12)}


def rand(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def moved(value, device):
    if isinstance(value, torch.Tensor):
        x = tn.tensor(to_numpy(value), device=device)
        return x.requires_grad_() if value.requires_grad else x
    return value


def outcome(module, call, inputs, order):
    """Results of a call, and gradients of their sum of squares with regard to all inputs."""
    results = call(*inputs)
    results = list(results) if isinstance(results, tuple) else [results]
    results = [y for y in results if y is not None]
    leaves = [x for x in inputs if x is not None and x.requires_grad]
    found = [y.detach() for y in results]
    total = sum((y * y).sum() for y in results)
    for _ in range(order):
        grads = module.autograd.grad(total, leaves, create_graph=order > 1)
        found += [g.detach() for g in grads]
        total = sum((g * g).sum() for g in grads)
    return found


def check(theirs, ours, inputs, device, order=1):
    """`theirs(*inputs)` and `ours(*inputs)` agree, gradients too."""
    expected = outcome(torch, theirs, inputs, order)
    got = [x.cpu() for x in outcome(tn, ours, [moved(x, device) for x in inputs], order)]
    found = differences(expected, got, DTYPES[inputs[0].dtype])
    assert not found, found


def copied(module, ours, device):
    """tinynet's module with the weights of PyTorch's."""
    dtype = next(module.parameters()).dtype
    ours = ours.to(device, {torch.float32: tn.float32, torch.float64: tn.float64}[dtype])
    state = {name: moved(x, device) for name, x in module.state_dict().items()}
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict(state)
    return ours.train(module.training)


# Attention
MASKS = {
    "nothing": {},
    "causal": {"is_causal": True},
    "bools": {"attn_mask": rand(3, 4, 5, 6) > -0.5},
    "bools for all": {"attn_mask": rand(5, 6) > -0.5},
    "a blind query": {"attn_mask": torch.arange(5)[:, None].expand(5, 6) != 2},
    "numbers": {"attn_mask": rand(4, 5, 6)},
    "infinite": {"attn_mask": torch.where(rand(5, 6) > -0.5, 0.0, -torch.inf).double()},
    "scale": {"scale": 0.3},
}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", MASKS)
def test_scaled_dot_product_attention(device, name, dtype):
    options = dict(MASKS[name])
    if "attn_mask" in options and options["attn_mask"].is_floating_point():
        options["attn_mask"] = options["attn_mask"].to(dtype)
    ours = {key: moved(value, device) for key, value in options.items()}
    inputs = [rand(3, 4, n, e, dtype=dtype, seed=i).requires_grad_()
              for i, (n, e) in enumerate([(5, 8), (6, 8), (6, 7)])]  # fmt: skip
    check(
        lambda *x: torch.nn.functional.scaled_dot_product_attention(*x, **options),
        lambda *x: tn.nn.functional.scaled_dot_product_attention(*x, **ours),
        inputs, device, order=2 if dtype is torch.float64 else 1,
    )  # fmt: skip


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_heads_that_serve_several_queries(device, heads):
    inputs = [rand(2, n, 5, 8, seed=n).requires_grad_() for n in (4, heads, heads)]
    check(
        lambda *x: torch.nn.functional.scaled_dot_product_attention(*x, enable_gqa=True),
        lambda *x: tn.nn.functional.scaled_dot_product_attention(*x, enable_gqa=True),
        inputs, device,
    )  # fmt: skip


@pytest.mark.parametrize("shape", [(3, 4), (1, 2, 3, 4, 5), (2, 0, 4)], ids=str)
def test_shapes(device, shape):
    inputs = [rand(*shape, seed=i).requires_grad_() for i in range(3)]
    check(torch.nn.functional.scaled_dot_product_attention,
          tn.nn.functional.scaled_dot_product_attention, inputs, device)  # fmt: skip


@pytest.mark.parametrize(
    ("shapes", "options"),
    [
        (((2, 5, 4), (2, 3, 4), (2, 3, 4)), {"is_causal": True}),
        (((2, 3, 4), (2, 5, 4), (2, 5, 6)), {"is_causal": True}),
        (((2, 3, 5, 4), (1, 3, 5, 4), (2, 1, 5, 4)), {}),
        (((1, 3, 4), (1, 3, 4), (5, 3, 4)), {}), (((2, 3, 4), (3, 4), (3, 4)), {}),
        (((2, 3, 4), (2, 0, 4), (2, 0, 5)), {}), (((2, 3, 0), (2, 5, 0), (2, 5, 4)), {}),
        (((2, 3, 4), (2, 0, 4), (2, 0, 5)), {"attn_mask": torch.ones(3, 0) > 0}),
        (((0, 3, 4),) * 3, {"is_causal": True}),
        (((2, 2, 5, 4),) * 3, {"attn_mask": rand(5, 1)}),
        (((2, 2, 5, 4),) * 3, {"attn_mask": rand(2, 1, 1, 5) > 0}),
        (((2, 4, 5, 3), (2, 2, 5, 3), (2, 1, 5, 3)), {"enable_gqa": True, "is_causal": True}),
        (((2, 3, 4),) * 3, {"scale": 0.0}), (((2, 3, 4),) * 3, {"scale": -2}),
        (((2, 3, 4),) * 3, {"dropout_p": 1.0}),
    ],
    ids=str,
)  # fmt: skip
def test_shapes_and_options(device, shapes, options):
    inputs = [rand(*shape, seed=i).requires_grad_() for i, shape in enumerate(shapes)]
    ours = {key: moved(value, device) for key, value in options.items()}
    check(
        lambda *x: torch.nn.functional.scaled_dot_product_attention(*x, **options),
        lambda *x: tn.nn.functional.scaled_dot_product_attention(*x, **ours),
        inputs, device,
    )  # fmt: skip


@pytest.mark.parametrize("shape", [(5, 6), (3, 1, 5, 6), (6,)], ids=str)
def test_a_mask_that_learns(device, shape):
    inputs = [rand(3, 2, n, 4, seed=n).requires_grad_() for n in (5, 6, 6)]
    mask = rand(*shape).requires_grad_()
    check(
        lambda q, k, v, mask: torch.nn.functional.scaled_dot_product_attention(q, k, v, mask),
        lambda q, k, v, mask: tn.nn.functional.scaled_dot_product_attention(q, k, v, mask),
        [*inputs, mask], device,
    )  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"attn_mask": rand(5, 5).float()}, {"is_causal": True}],
                         ids=str)  # fmt: skip
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_halves(device, dtype, options):
    """As near to what float64 gives as PyTorch's are."""
    inputs = [(2 * rand(2, 2, 5, 16, seed=i)).to(dtype).requires_grad_() for i in range(3)]
    ours = {key: moved(value, device) for key, value in options.items()}
    wide = {key: x.double() if key == "attn_mask" else x for key, x in options.items()}
    function = torch.nn.functional.scaled_dot_product_attention
    exact = outcome(torch, lambda *x: function(*x, **wide), [
        x.detach().double().requires_grad_() for x in inputs], 1)  # fmt: skip
    expected = outcome(torch, lambda *x: function(*x, **options).float(), inputs, 1)
    got = outcome(
        tn, lambda *x: tn.nn.functional.scaled_dot_product_attention(*x, **ours).float(),
        [moved(x, device) for x in inputs], 1,
    )  # fmt: skip
    for x, y, z in zip(exact, expected, got):
        assert z.dtype is (tn.float32 if z is got[0] else comparing.DTYPES[dtype])
        error = (torch.from_numpy(z.cpu().double().numpy()) - x).norm() / x.norm()
        assert error <= 1.2 * (y - x).norm() / x.norm()


def test_what_is_not_a_number(device):
    """It spreads as far as in PyTorch; scores that are all -inf weigh nothing, masked or not."""
    nan = rand(2, 2, 5, 4)
    nan[0, 0, 3] = torch.nan
    low, x = torch.full((2, 2, 5, 4), -torch.inf), rand(2, 2, 5, 4)
    mask = torch.ones(5, 5).tril() > 0
    for inputs in ([x, nan, x], [nan, x, x], [x, x, nan], [low.double(), x.abs(), x]):
        for given in (None, mask, torch.where(mask, 0.0, torch.inf).double()):
            expected = torch.nn.functional.scaled_dot_product_attention(*inputs, attn_mask=given)
            got = tn.nn.functional.scaled_dot_product_attention(
                *[moved(x, device) for x in inputs], attn_mask=moved(given, device)
            )
            assert not differences(expected, got.cpu())


@pytest.mark.parametrize(
    ("shapes", "options"),
    [
        (((2, 3, 4),) * 3, {"dropout_p": 1.5}),
        (((2, 3, 4),) * 3, {"attn_mask": torch.ones(3, 3).half()}),
        (((2, 3, 4), (2, 3, 5), (2, 3, 5)), {}), (((2, 3, 4), (2, 6, 4), (2, 5, 4)), {}),
        (((2, 3, 4), (3, 3, 4), (3, 3, 4)), {}), (((4,), (4,), (4,)), {}),
        (((2, 3, 4),) * 3, {"is_causal": True, "attn_mask": torch.ones(3, 3) > 0}),
        (((2, 3, 4),) * 3, {"attn_mask": torch.ones(4, 3) > 0}),
        (((2, 3, 4),) * 3, {"attn_mask": torch.ones(3, 3, dtype=torch.int64)}),
        (((1, 3, 2, 4), (1, 2, 2, 4), (1, 2, 2, 4)), {"enable_gqa": True}),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_refused(shapes, options):
    inputs = [rand(*shape) for shape in shapes]
    with pytest.raises(RuntimeError):
        torch.nn.functional.scaled_dot_product_attention(*inputs, **options)
    ours = {key: moved(value, "cpu") for key, value in options.items()}
    with pytest.raises(TinynetError):
        tn.nn.functional.scaled_dot_product_attention(*[moved(x, "cpu") for x in inputs], **ours)


# MultiheadAttention
KINDS = {
    "plain": {},
    "without bias": {"bias": False},
    "other features": {"kdim": 5, "vdim": 7},
    "batch first": {"batch_first": True},
    "more keys": {"add_bias_kv": True, "add_zero_attn": True},
}
SEEN = {
    "all": {},
    "causal": {"attn_mask": torch.ones(4, 6).triu(1) > 0, "is_causal": True},
    "padded": {"key_padding_mask": torch.arange(6) >= torch.tensor([[6], [3], [5]])},
    "both": {"attn_mask": rand(4, 6), "key_padding_mask": torch.zeros(3, 6).double()},
    "for each head": {"attn_mask": rand(6, 4, 6) > 1},
}


@pytest.mark.parametrize("need_weights", [True, False], ids=["weights", ""])
@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("kind", KINDS)
def test_multihead_attention(device, kind, seen, need_weights):
    options, masks = KINDS[kind], SEEN[seen]
    if kind == "more keys" and masks.get("is_causal"):
        pytest.skip("PyTorch then forgets the mask that it was told of")
    torch.manual_seed(0)
    theirs = torch.nn.MultiheadAttention(8, 2, dtype=torch.float64, **options)
    ours = copied(theirs, tn.nn.MultiheadAttention(8, 2, **options), device)
    inputs = [rand(n, 3, size, seed=n + i).requires_grad_() for i, (n, size) in enumerate(
        [(4, 8), (6, options.get("kdim", 8)), (6, options.get("vdim", 8))])]  # fmt: skip
    if options.get("batch_first"):
        inputs = [x.detach().transpose(0, 1).contiguous().requires_grad_() for x in inputs]
    converted = {key: moved(value, device) for key, value in masks.items()}
    for average in (True, False):
        more = {"need_weights": need_weights, "average_attn_weights": average}
        check(lambda *x: theirs(*x, **masks, **more), lambda *x: ours(*x, **converted, **more),
              inputs, device)  # fmt: skip


@pytest.mark.parametrize("need_weights", [True, False], ids=["weights", ""])
def test_without_a_batch_and_of_itself(device, need_weights):
    torch.manual_seed(0)
    theirs = torch.nn.MultiheadAttention(6, 3, dtype=torch.float64)
    ours = copied(theirs, tn.nn.MultiheadAttention(6, 3), device)
    mask = torch.tensor([False, False, True, False])
    ours_mask = moved(mask, device)
    for shape in ((4, 6), (4, 1, 6)):
        masks = [x if len(shape) == 2 else x[None] for x in (mask, ours_mask)]
        check(
            lambda x: theirs(x, x, x, masks[0], need_weights),
            lambda x: ours(x, x, x, masks[1], need_weights),
            [rand(*shape).requires_grad_()], device,
        )  # fmt: skip


FURTHER = {
    "blind queries": ((4, 3, 8), (6, 3, 8), {"key_padding_mask": torch.ones(3, 6) > 0}, {}),
    "a mask for one batch": ((4, 1, 8), (6, 1, 8), {"attn_mask": rand(2, 4, 6) > 0}, {}),
    "each head, no batch": ((4, 8), (6, 8), {"attn_mask": rand(2, 4, 6)}, {}),
    "no samples": ((4, 0, 8), (6, 0, 8), {}, {}),
    "no queries": ((0, 3, 8), (6, 3, 8), {}, {}),
    "more keys, a mask for each head": (
        (4, 3, 8), (6, 3, 8), {"attn_mask": rand(6, 4, 6)},
        {"add_bias_kv": True, "add_zero_attn": True, "bias": False},
    ),
    "more keys of other features": (
        (4, 3, 8), (6, 3, 5), {"key_padding_mask": torch.arange(18).reshape(3, 6) % 5 > 3},
        {"add_bias_kv": True, "kdim": 5, "vdim": 5},
    ),
}  # fmt: skip


@pytest.mark.parametrize("need_weights", [True, False], ids=["weights", ""])
@pytest.mark.parametrize("case", FURTHER)
def test_further_cases_of_multihead_attention(device, case, need_weights):
    query, key, masks, options = FURTHER[case]
    torch.manual_seed(0)
    theirs = torch.nn.MultiheadAttention(8, 2, dtype=torch.float64, **options)
    ours = copied(theirs, tn.nn.MultiheadAttention(8, 2, **options), device)
    converted = {key: moved(value, device) for key, value in masks.items()}
    check(
        lambda q, k: theirs(q, k, k, need_weights=need_weights, **masks),
        lambda q, k: ours(q, k, k, need_weights=need_weights, **converted),
        [rand(*query).requires_grad_(), rand(*key, seed=1).requires_grad_()], device,
    )  # fmt: skip


@pytest.mark.parametrize("shapes", [
    ((4, 3, 8), (6, 2, 8), (6, 2, 8)), ((4, 3, 8), (6, 3, 8), (5, 3, 8)), ((1, 4, 3, 8),) * 3,
    ((4, 3, 7), (6, 3, 8), (6, 3, 8)), ((4, 3, 8), (6, 8), (6, 8)),
], ids=str)  # fmt: skip
def test_inputs_that_multihead_attention_refuses(shapes):
    inputs = [rand(*shape) for shape in shapes]
    with pytest.raises((RuntimeError, AssertionError)):
        torch.nn.MultiheadAttention(8, 2, dtype=torch.float64)(*inputs)
    with pytest.raises(TinynetError):
        tn.nn.MultiheadAttention(8, 2, dtype=tn.float64)(*[moved(x, "cpu") for x in inputs])


# Transformers
LAYERS = [
    {"norm_first": norm_first, "batch_first": batch_first, "activation": activation, "bias": bias}
    for norm_first, batch_first, activation, bias in itertools.product(
        [False, True], [False, True], ["relu", "gelu"], [True]
    )
] + [{"bias": False}]


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("options", LAYERS, ids=str)
def test_encoder_and_decoder_layers(device, options, dtype, training):
    for name, count in (("TransformerEncoderLayer", 1), ("TransformerDecoderLayer", 2)):
        torch.manual_seed(0)
        theirs = getattr(torch.nn, name)(8, 2, 16, 0.0, dtype=dtype, **options).train(training)
        ours = copied(theirs, getattr(tn.nn, name)(8, 2, 16, 0.0, **options), device)
        inputs = [rand(5, 5, 8, dtype=dtype, seed=i).requires_grad_() for i in range(count)]
        check(theirs, ours, inputs, device)
        mask = torch.nn.Transformer.generate_square_subsequent_mask(5, dtype=dtype)
        key = "src" if count == 1 else "tgt"
        theirs_masks = {f"{key}_mask": mask, f"{key}_key_padding_mask": torch.eye(5) > 1}
        ours_masks = {name: moved(x, device) for name, x in theirs_masks.items()}
        check(lambda *x: theirs(*x, **theirs_masks), lambda *x: ours(*x, **ours_masks), inputs,
              device)  # fmt: skip


def test_an_activation_with_weights(device):
    for name, count in (("TransformerEncoderLayer", 1), ("TransformerDecoderLayer", 2)):
        options = {"dropout": 0.0, "dim_feedforward": 16}
        theirs = getattr(torch.nn, name)(
            8, 2, activation=torch.nn.PReLU(dtype=torch.float64), dtype=torch.float64, **options
        )
        ours = getattr(tn.nn, name)(8, 2, activation=tn.nn.PReLU(), **options)
        inputs = [rand(5, 2, 8, seed=i).requires_grad_() for i in range(count)]
        check(theirs, copied(theirs, ours, device), inputs, device)


@pytest.mark.parametrize("is_graded", [True, False], ids=["grad", "no_grad"])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_encoder_with_padding(device, training, is_graded):
    """In evaluation PyTorch takes other ways, nested tensors among them."""
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True, dtype=torch.float64)
    theirs = torch.nn.TransformerEncoder(layer, 2, torch.nn.LayerNorm(8, dtype=torch.float64))
    layer = tn.nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)
    ours = tn.nn.TransformerEncoder(layer, 2, tn.nn.LayerNorm(8))
    ours = copied(theirs.train(training), ours, device)
    x = rand(3, 5, 8).requires_grad_(is_graded)
    padding = torch.arange(5) >= torch.tensor([[5], [3], [2]])
    causal = torch.ones(5, 5).triu(1) > 0
    cases = ({"src_key_padding_mask": padding}, {"mask": causal}, {"mask": causal, "is_causal": 1},
             {"mask": causal, "src_key_padding_mask": padding})  # fmt: skip
    for given in cases:
        converted = {key: moved(value, device) for key, value in given.items()}
        if is_graded:
            check(lambda x, k=given: theirs(x, **k), lambda x, k=converted: ours(x, **k), [x],
                  device)  # fmt: skip
            continue
        with torch.no_grad(), tn.no_grad():
            expected, got = theirs(x, **given), ours(moved(x, device), **converted)
        seen = ~padding if "src_key_padding_mask" in given else torch.ones(3, 5) > 0
        assert not differences(expected[seen], got.cpu()[moved(seen, "cpu")], (1e-10, 1e-12))


@pytest.mark.parametrize("norm_first", [False, True])
def test_transformer(device, norm_first):
    torch.manual_seed(0)
    options = {"dropout": 0.0, "norm_first": norm_first}
    theirs = torch.nn.Transformer(8, 2, 2, 3, 16, dtype=torch.float64, **options)
    ours = copied(theirs, tn.nn.Transformer(8, 2, 2, 3, 16, **options), device)
    mask = torch.nn.Transformer.generate_square_subsequent_mask(4, dtype=torch.float64)
    padding = torch.tensor([[False] * 4 + [True], [False] * 5])
    given = {"tgt_mask": mask, "tgt_is_causal": True, "src_key_padding_mask": padding,
             "memory_key_padding_mask": padding}  # fmt: skip
    converted = {key: moved(value, device) for key, value in given.items()}
    inputs = [rand(5, 2, 8).requires_grad_(), rand(4, 2, 8, seed=1).requires_grad_()]
    check(lambda *x: theirs(*x, **given), lambda *x: ours(*x, **converted), inputs, device)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_square_subsequent_mask(dtype):
    expected = torch.nn.Transformer.generate_square_subsequent_mask(4, dtype=dtype)
    made = tn.nn.Transformer.generate_square_subsequent_mask
    got = made(4, dtype={torch.float32: tn.float32, torch.float64: tn.float64}[dtype])
    assert not differences(expected, got)


def test_first_weights(device):
    """Where PyTorch draws, the same deviation; where it does not, the same numbers."""
    tn.manual_seed(0)
    torch.manual_seed(0)
    for name, args in (("MultiheadAttention", (64, 4, 0.0, True, True)),
                       ("Transformer", (64, 4, 1, 1, 128))):  # fmt: skip
        theirs = getattr(torch.nn, name)(*args)
        ours = getattr(tn.nn, name)(*args).to(device)
        for (key, x), (other, y) in zip(theirs.named_parameters(), ours.named_parameters()):
            assert key == other
            assert tuple(x.shape) == y.shape
            if x.std() == 0:
                assert y.std().item() == 0
                assert y.mean().item() == x.mean().item()
            else:
                assert y.std().item() == pytest.approx(x.std().item(), rel=0.25), key


# Training
def make_decoder(library, vocabulary=7, context=12, width=16, heads=2):
    """A language model as learners write it, of two blocks."""
    nn = library.nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
            self.mlp = nn.Sequential(
                nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
            )

        def forward(self, x):
            n, length, _ = x.shape
            parts = self.qkv(self.norm1(x)).split(width, dim=2)
            q, k, v = (y.view(n, length, heads, -1).transpose(1, 2) for y in parts)
            y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).contiguous().view(n, length, width))
            return x + self.mlp(self.norm2(x))

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(vocabulary, width)
            self.places = nn.Embedding(context, width)
            self.blocks = nn.Sequential(Block(), Block())
            self.head = nn.Linear(width, vocabulary)

        def forward(self, tokens):
            places = library.arange(tokens.shape[1], device=tokens.device)
            return self.head(self.blocks(self.tokens(tokens) + self.places(places)))

    return Decoder()


def losses(library, model, batches, record=lambda step: step):
    optimizer = library.optim.Adam(model.parameters(), lr=3e-3)

    @record
    def step(tokens):
        scores, targets = model(tokens[:, :-1]), tokens[:, 1:]
        loss = library.nn.functional.cross_entropy(scores.flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return [step(tokens).item() for tokens in batches]


@pytest.mark.parametrize("record", [tn.jit, lambda step: step], ids=["jit", "eager"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_decoder_learns_as_in_pytorch(device, dtype, record):
    torch.manual_seed(0)
    theirs = make_decoder(torch).to(dtype)
    ours = copied(theirs, make_decoder(tn), device)
    melody = torch.tensor([0, 3, 1, 4, 1, 5, 2, 6] * 4)
    batches = [torch.stack([melody[(5 * i + k) % 16 :][:13] for k in range(4)]) for i in range(20)]
    expected = losses(torch, theirs, batches)
    got = losses(tn, ours, [moved(x, device) for x in batches], record)
    assert got == pytest.approx(expected, rel=1e-3 if dtype is torch.float32 else 1e-8)
    assert got[-1] < 0.7 * got[0]
