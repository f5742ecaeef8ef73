"""Attention, transformers and positional encodings: values by hand, what is refused, jit."""

import cmath
import math
import re

import pytest

import tinynet as tn
from tinynet import nn, settings
from tinynet.autograd.gradcheck import check_gradient
from tinynet.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from tinynet.ops.softmax import softmax_or_zeros

F = nn.functional
attention = F.scaled_dot_product_attention


def close(x, expected):
    return tn.allclose(x.cpu(), tn.tensor(expected, dtype=x.dtype, device="cpu"), atol=1e-6)


def test_weights_are_a_softmax_of_scores(on_device):
    query, key = tn.tensor([[2.0, 0.0]]), tn.tensor([[math.log(3) / math.sqrt(2), 5.0], [0.0, 1.0]])
    value = tn.tensor([[4.0], [8.0]])
    assert close(attention(query, key, value), [[4 * 0.75 + 8 * 0.25]])
    assert close(attention(query, key, value, scale=0.0), [[6.0]])


def test_what_may_be_looked_at(on_device):
    x, value = tn.zeros(3, 2), tn.tensor([[3.0], [6.0], [12.0]])
    assert close(attention(x, x, value, is_causal=True), [[3.0], [4.5], [7.0]])
    mask = tn.tensor([[True, False, True], [False, True, False], [False, False, False]])
    assert close(attention(x, x, value, mask), [[7.5], [6.0], [0.0]])
    shift = tn.tensor([0.0, -math.inf, math.log(3)])
    assert close(attention(x, x, value, shift), [[9.75]] * 3)


def test_a_blind_query_has_no_gradient_but_zero(on_device):
    x = tn.ones(2, 3, requires_grad=True)
    attention(x, x, x, tn.tensor([[True, False], [False, False]])).sum().backward()
    assert not x.grad.isnan().any()


def test_gradients(on_device):
    check_gradient(
        lambda q, k, v: attention(q, k, v, is_causal=True),
        (2, 3, 4), (2, 5, 4), (2, 5, 2), devices=[on_device],
    )  # fmt: skip


AT_ONCE = {  # shapes of query, key, value and mask for which an OpenCL CPU has a kernel
    "causal": ((2, 2, 12, 8), (2, 2, 12, 8), (2, 2, 12, 8), None),
    "three dims": ((4, 12, 8), (4, 9, 8), (4, 9, 16), (9,)),
    "five dims": ((2, 1, 3, 9, 8), (2, 2, 1, 10, 8), (1, 2, 3, 10, 8), (2, 1, 1, 9, 10)),
    "five dims, causal": ((2, 1, 3, 9, 8), (2, 1, 3, 9, 8), (2, 1, 3, 9, 8), None),
    "six dims, one mask": (*[(1, 2, 1, 3, 9, 8)] * 3, (1, 1, 1, 1, 9, 9)),
    "broadcast mask": ((2, 3, 9, 8), (2, 3, 8, 8), (2, 3, 8, 8), (2, 1, 9, 1)),
    "mask of heads": ((2, 3, 9, 8), (2, 3, 8, 8), (2, 3, 8, 8), (3, 9, 8)),
}


@pytest.mark.parametrize("case", AT_ONCE)
@pytest.mark.parametrize("order", [1, 2])
def test_attention_at_once_is_that_of_its_parts(on_device, case, order):
    tn.manual_seed(0)
    *shapes, mask_shape = AT_ONCE[case]
    mask = None if mask_shape is None else tn.randn(mask_shape)
    operands = [tn.randn(shape) for shape in shapes]

    def grads(dtype, mask):
        inputs = [x.to(dtype).requires_grad_() for x in operands]
        y = attention(*inputs, mask, is_causal=mask is None)
        found = tn.autograd.grad(y.square().sum(), inputs, create_graph=order == 2)
        if order == 2:
            found = tn.autograd.grad(sum(x.square().sum() for x in found), inputs)
        return [y, *found]

    one = grads(tn.float32, mask)
    if mask is not None:
        mask = mask.double()
    for x, y in zip(one, grads(tn.float64, mask), strict=True):
        assert tn.allclose(x.double().cpu(), y.cpu(), rtol=1e-4, atol=1e-4 * y.abs().max().item())


def test_a_learned_mask_gets_its_gradient(on_device):
    x, mask = tn.randn(2, 2, 9, 8), tn.zeros(9, 9, requires_grad=True)
    attention(x, x, x, mask).square().sum().backward()
    assert mask.grad.abs().sum().item() > 0


def test_what_cannot_be_looked_at_does_not_matter(on_device):
    x = tn.randn(2, 2, 20, 8)
    worse = x.clone()
    worse[:, :, 16:] = 1e4
    y = attention(worse, worse, worse, is_causal=True)
    assert tn.allclose(y[:, :, :16], attention(x, x, x, is_causal=True)[:, :, :16], atol=1e-6)


def test_rows_of_nothing_are_zeros(device):
    x = tn.tensor([[0.0, math.log(3), -math.inf], [-math.inf] * 3, [1.0, math.nan, 2.0]],
                  device=device, requires_grad=True)  # fmt: skip
    for dtype in (tn.float32, tn.float64, tn.float16, tn.bfloat16):
        y = softmax_or_zeros(x.to(dtype), -1)
        assert y.dtype is dtype
        assert tn.allclose(y[:2].cpu().float(), tn.tensor([[0.25, 0.75, 0], [0] * 3]), atol=1e-2)
        assert y[2].isnan().all()
    (grad,) = tn.autograd.grad(softmax_or_zeros(x, 1)[:2, 0].sum(), [x])
    assert close(grad[:2], [[0.1875, -0.1875, 0], [0] * 3])
    assert softmax_or_zeros(x[:, :0], 0).shape == (3, 0)
    check_gradient(lambda x: softmax_or_zeros(x, 0), (3, 2), devices=[device])
    lowest = tn.full((2,), tn.finfo(tn.float32).min, device=device)
    assert softmax_or_zeros(lowest, 0).tolist() == [0.5, 0.5]  # numbers, if low ones


@pytest.mark.parametrize("dtype", [tn.float16, tn.bfloat16], ids=str)
def test_halves_are_computed_in_float32(on_device, dtype):
    x = (tn.eye(2) * 1000).to(dtype)  # scores of 1e6, which are infinite in float16
    y = attention(x, x, x.sign(), scale=1.0)
    assert y.dtype is dtype
    assert tn.equal(y, x.sign())
    layer = nn.MultiheadAttention(2, 1, dtype=dtype)
    assert [y.dtype for y in layer(x, x, x)] == [dtype] * 2
    assert attention(x, x, x, tn.zeros(2, 2)).dtype is dtype


def test_a_value_of_one_head_serves_all(on_device):
    query, key, value = tn.zeros(1, 4, 1, 2), tn.zeros(1, 2, 1, 2), tn.tensor([[[[5.0]]]])
    assert close(attention(query, key, value, enable_gqa=True), [[[[5.0]]] * 4])


def test_causal_scores_are_one_kernel(monkeypatch):
    """Of four products, and of what makes scores weights, forward and backward; and the mask."""
    monkeypatch.setenv(settings.DEVICE.name, "opencl")
    inputs = [tn.randn(2, 2, 32, 8, requires_grad=True) for _ in range(3)]
    slope = tn.randn(2, 2, 32, 8)

    def launches(**options):
        @tn.jit
        def step(*inputs):
            y = attention(*inputs, **options)
            return y, *tn.autograd.grad(y, inputs, slope)

        for _ in range(3):
            step(*inputs)
        before = tn.counters().launches
        step(*inputs)
        return tn.counters().launches - before

    products, rows = 6, 2
    assert launches() <= products + rows
    assert launches(attn_mask=tn.zeros(32, 32) > 1) <= products + rows
    assert launches(is_causal=True) <= products + rows + 1


def test_dropout_is_of_weights():
    x = tn.zeros(1, 1000, 4)
    y = attention(x, x, tn.ones(1, 1000, 1), dropout_p=0.5)
    assert y.mean().item() == pytest.approx(1, abs=0.01)
    assert y.std().item() == pytest.approx(1000**-0.5, rel=0.1)


def test_layers_drop_in_training_only(on_device):
    x = tn.randn(6, 2, 4)
    layer = nn.MultiheadAttention(4, 2, dropout=0.5)
    _, weights = layer(x, x, x, average_attn_weights=False)
    kept = weights[weights != 0]
    assert 0 < kept.numel() < weights.numel()
    _, weights = layer.eval()(x, x, x, average_attn_weights=False)
    assert close(weights.sum(-1), [[[1.0] * 6] * 2] * 2)
    for layer in (nn.TransformerEncoderLayer(4, 2, 8, 0.9), nn.Transformer(4, 2, 1, 1, 8, 0.9)):
        inputs = [x] * (1 + isinstance(layer, nn.Transformer))
        assert not tn.equal(layer(*inputs), layer(*inputs))
        layer.eval()
        assert close(layer(*inputs), layer(*inputs).tolist())


def test_all_that_is_added_is_dropped(on_device):
    x = tn.randn(6, 2, 4)
    for kind, count in ((nn.TransformerEncoderLayer, 1), (nn.TransformerDecoderLayer, 2)):
        layer = kind(4, 2, 8, dropout=1.0, norm_first=True)
        for part in layer.parameters():
            nn.init.ones_(part)
        assert tn.equal(layer(*[x] * count), x)


def test_replays_drop_other_weights(on_device):
    x, ones = tn.zeros(1, 8, 4), tn.ones(1, 8, 1)
    step = tn.jit(lambda: attention(x, x, ones, dropout_p=0.5))
    found = {tuple(step().flatten().tolist()) for _ in range(5)}
    assert len(found) == 5


X, ATTENTION = tn.zeros(2, 3, 4), nn.MultiheadAttention(4, 2)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: attention(X, X, X, tn.ones(3, 3) > 0, is_causal=True), ArgumentError,
         "scaled_dot_product_attention: got attn_mask and is_causal, expected one of them"),
        (lambda: attention(X, X[..., 1:], X), ShapeError,
         "scaled_dot_product_attention: query (2, 3, 4), key (2, 3, 3) and value (2, 3, 4) do not "
         "fit, expected (..., L, E), (..., S, E) and (..., S, V)"),
        (lambda: attention(X, X, X.double()), DTypeError,
         "scaled_dot_product_attention: value has dtype tinynet.float64, "
         "expected query's, tinynet.float32"),
        (lambda: attention(X, X, X, tn.ones(3, 3).long()), DTypeError,
         "scaled_dot_product_attention: attn_mask has dtype tinynet.int64, expected bool, float32 "
         "or query's, tinynet.float32"),
        (lambda: attention(X, X, X, [[True]]), ArgumentTypeError,
         "scaled_dot_product_attention: attn_mask must be a Tensor, got list"),
        (lambda: attention(X, X, X, dropout_p=-1.0), ArgumentError,
         "dropout: p must be between 0 and 1, got -1.0"),
        (lambda: attention(X, X, X, tn.ones(5, 2, 3, 3) > 0), ShapeError,
         "scaled_dot_product_attention: attn_mask has shape (5, 2, 3, 3), expected one that "
         "broadcasts to (2, 3, 3)"),
        (lambda: attention(X[None].transpose(1, 2), X[None], X[None], enable_gqa=True), ShapeError,
         "scaled_dot_product_attention: 3 heads of query are no multiple of 2 of key or value"),
        (lambda: nn.MultiheadAttention(5, 2), ArgumentError,
         "MultiheadAttention: embed_dim must be a multiple of num_heads, both positive, "
         "got 5 and 2"),
        (lambda: ATTENTION(X, X, X, is_causal=True), ArgumentError,
         "MultiheadAttention: is_causal needs attn_mask, which it says something about"),
        (lambda: ATTENTION(X, X[0], X), ShapeError,
         "MultiheadAttention: query, key and value must all have 2 dims or, with a batch, 3, "
         "got key of shape (3, 4)"),
        (lambda: ATTENTION(X, X, X[..., 1:]), ShapeError,
         "MultiheadAttention: value has shape (2, 3, 3), expected 4 features"),
        (lambda: ATTENTION(X, X[1:], X), ShapeError,
         "MultiheadAttention: query (2, 3, 4), key (1, 3, 4) and value (2, 3, 4) do not fit"),
        (lambda: ATTENTION(X, X, X, tn.ones(2, 3) > 0), ShapeError,
         "MultiheadAttention: key_padding_mask has shape (2, 3), expected (3, 2)"),
        (lambda: ATTENTION(X, X, X, attn_mask=tn.ones(3, 3) > 0), ShapeError,
         "MultiheadAttention: attn_mask has shape (3, 3), expected (2, 2) or (6, 2, 2)"),
        (lambda: ATTENTION(X, X, X, attn_mask=tn.ones(2, 2).long()), DTypeError,
         "MultiheadAttention: a mask has dtype tinynet.int64, expected bool or a floating one"),
        (lambda: nn.TransformerEncoderLayer(4, 2, activation="tanh"), ArgumentError,
         "Transformer: activation must be relu or gelu, got 'tanh'"),
        (lambda: nn.Transformer(4, 2, 1, 1)(tn.zeros(2, 3), tn.zeros(2, 4)), ShapeError,
         "Transformer: src has shape (2, 3), expected 4 features"),
        (lambda: nn.SinusoidalEncoding(4, 2)(tn.zeros(3, 1, 4)), ShapeError,
         "SinusoidalEncoding: got shape (3, 1, 4), expected at most 2 positions (dim 0) of 4 "
         "features"),
        (lambda: F.rotary_embedding(tn.zeros(2, 3)), ShapeError,
         "rotary_embedding: got shape (2, 3), expected (..., L, E) with E even"),
        (lambda: F.rotary_embedding(tn.zeros(2, 4), base=0), ArgumentError,
         "encoding: got 4 features and base 0, expected more than 0"),
    ],
)  # fmt: skip
def test_what_is_refused(call, kind, message):
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        call()


def test_copies_of_a_layer_learn_by_themselves():
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8), 2)
    assert len({id(p) for p in encoder.parameters()}) == 24
    first, second = encoder.layers
    assert tn.equal(first.linear1.weight, second.linear1.weight)


def test_the_weights_of_an_activation_come_last():
    for kind in (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer):
        layer = kind(4, 2, 8, activation=nn.PReLU())
        assert list(layer.state_dict())[-2:] == [f"norm{2 + ('De' in kind.__name__)}.bias",
                                                 "activation.weight"]  # fmt: skip


# Positions
def test_sinusoids(on_device):
    x = nn.SinusoidalEncoding(6, 50)(tn.zeros(50, 2, 6)).cpu()
    for place, i in ((0, 0), (7, 1), (49, 2)):
        angle = place / 10_000 ** (2 * i / 6)
        assert x[place, 1, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
        assert x[place, 0, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)
    assert nn.SinusoidalEncoding(5, 9, batch_first=True)(tn.zeros(2, 9, 5)).shape == (2, 9, 5)
    assert nn.SinusoidalEncoding(4).state_dict() == {}
    assert nn.SinusoidalEncoding(4, dtype=tn.float64).encoding.dtype is tn.float64


def test_learned_encoding(on_device):
    layer = nn.LearnedEncoding(4, 10)
    y = layer(tn.zeros(3, 2, 4))
    assert tn.equal(y[:, 1], layer.weight[:3])
    y.sum().backward()
    assert layer.weight.grad.sum(1).tolist() == [8.0] * 3 + [0.0] * 7
    assert list(layer.state_dict()) == ["weight"]


def test_rotations_make_scores_depend_on_distance(on_device):
    tn.manual_seed(0)
    query, key = tn.randn(8, dtype=tn.float64), tn.randn(8, dtype=tn.float64)
    turn = nn.RotaryEncoding(base=100.0)
    scores = turn(query.expand(9, 8)) @ turn(key.expand(9, 8)).mT
    for i in range(-4, 5):
        assert scores.diagonal(i).std().item() < 1e-12
    assert scores[0, 0].item() == pytest.approx((query @ key).item())
    assert tn.allclose(turn(query[None], offset=5)[0], turn(query.expand(9, 8))[5])
    check_gradient(F.rotary_embedding, (2, 3, 4))


def test_rotations_are_products_of_complex_numbers(on_device):
    x = tn.randn(2, 5, 6)
    y = F.rotary_embedding(x, base=100.0, offset=3)
    for place, i in ((0, 0), (4, 1), (2, 2)):
        a, b = (complex(*z[1, place, 2 * i : 2 * i + 2].tolist()) for z in (x, y))
        assert b == pytest.approx(a * cmath.exp(1j * (place + 3) / 100 ** (2 * i / 6)), abs=1e-5)
    assert F.rotary_embedding(x.half()).dtype is tn.float16
    assert F.rotary_embedding(x[:, :0]).shape == (2, 0, 6)


# Training
class Decoder(nn.Module):
    """A language model of two layers."""

    def __init__(self, vocabulary=7, length=12, width=16):
        super().__init__()
        self.embedding = nn.Parameter(tn.randn(vocabulary, width))
        self.positions = nn.LearnedEncoding(width, length, batch_first=True)
        layer = nn.TransformerEncoderLayer(width, 2, 32, dropout=0.0, batch_first=True,
                                           norm_first=True, activation="gelu")  # fmt: skip
        self.blocks = nn.TransformerEncoder(layer, 2, nn.LayerNorm(width))
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens):
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1], tokens.device)
        x = self.positions(self.embedding[tokens])
        return self.head(self.blocks(x, mask, is_causal=True))


def test_a_language_model_learns_a_melody(on_device):
    tn.manual_seed(0)
    model = Decoder()
    optimizer = tn.optim.Adam(model.parameters(), lr=3e-3)
    melody = tn.tensor([0, 3, 1, 4, 1, 5, 2, 6] * 4)

    @tn.jit
    def step(tokens, targets):
        loss = F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    losses = []
    for i in range(60):
        starts = [(5 * i + k) % 16 for k in range(4)]
        tokens = tn.stack([melody[s : s + 12] for s in starts])
        targets = tn.stack([melody[s + 1 : s + 13] for s in starts])
        losses.append(step(tokens, targets).item())
    assert losses[0] > 1.5
    assert losses[-1] < 0.4
    assert step.count == 1


def test_no_position_sees_what_comes_later(on_device):
    tn.manual_seed(0)
    model = Decoder().eval()
    tokens = tn.tensor([[0, 1, 2, 3, 4, 5]])
    changed = tn.tensor([[0, 1, 2, 6, 6, 6]])
    with tn.no_grad():
        y, z = model(tokens), model(changed)
    assert tn.allclose(y[:, :3], z[:, :3], atol=1e-6)
    assert not tn.allclose(y[:, 3:], z[:, 3:], atol=1e-3)
