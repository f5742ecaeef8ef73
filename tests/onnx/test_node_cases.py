"""Imported operators beside the `onnx` package's own tests of each."""

import re

import pytest

from tests.onnx.node_cases import cases_of, outcome

# Its modules, with how many of their cases pass, of how many: the others are not supported.
COUNTS = """
    abs:1/1 acos:2/2 acosh:2/2 adagrad:0/2 adam:0/2 add:8/8 affinegrid:0/8 and_:8/8 argmax:16/16
    argmin:16/16 asin:2/2 asinh:2/2 atan:2/2 atanh:2/2 attention:186/186 averagepool:20/20
    batch_normalization:4/4 bernoulli:0/6 bitcast:0/10 bitshift:28/28 bitwiseand:4/4
    bitwisenot:3/3 bitwiseor:4/4 bitwisexor:4/4 blackmanwindow:2/4 cast:8/60 castlike:16/112
    causal_conv_with_state:13/26 ceil:2/2 celu:6/6 center_crop_pad:12/12 clip:24/24 col2im:4/5
    compress:5/5 concat:12/12 constant:1/1 constantofshape:3/3 conv:6/6 convinteger:0/2
    convtranspose:11/11 cos:2/2 cosh:2/2 cumprod:9/9 cumsum:9/9 deformconv:0/4 depthtospace:4/4
    dequantizelinear:0/14 det:0/2 dft:0/10 div:10/10 dropout:8/12 dynamicquantizelinear:0/6
    einsum:9/9 elu:6/6 equal:8/10 erf:1/1 exp:2/2 expand:2/2 eyelike:3/3 flatten:9/9
    flexattention:11/22 floor:2/2 gather:4/4 gatherelements:3/3 gathernd:3/3 gelu:8/8 gemm:11/11
    globalaveragepool:2/2 globalmaxpool:2/2 greater:8/8 greater_or_equal:16/16 gridsample:0/18
    groupnormalization:4/4 gru:6/6 hammingwindow:2/4 hannwindow:2/4 hardmax:7/7 hardsigmoid:6/6
    hardswish:2/2 identity:1/3 if_:0/3 image_decoder:0/9 instance_normalization:2/2 isinf:4/4
    isnan:2/2 layernormalization:57/57 leakyrelu:6/6 less:8/8 less_or_equal:16/16
    linear_attention:0/28 log:2/2 logsoftmax:21/21 loop:0/3 lpnormalization:6/6 lppool:8/8
    lrn:2/2 lstm:6/6 matmul:7/7 matmulinteger:0/1 max:14/14 maxpool:19/19 maxunpool:2/2 mean:3/3
    meanvariancenormalization:3/3 melweightmatrix:0/1 min:14/14 mish:2/2 mod:19/19 momentum:0/3
    mul:9/9 neg:2/2 negativeloglikelihoodloss:36/36 nonmaxsuppression:0/10 nonzero:1/1 not_:3/3
    onehot:6/6 optionalgetelement:0/4 optionalhaselement:0/7 or_:8/8 pad:6/6 pow:12/12 prelu:4/4
    qlinearconv:0/1 qlinearmatmul:0/8 quantizelinear:0/13 rangeop:4/8 reciprocal:2/2
    reduce_log_sum:10/10 reduce_log_sum_exp:18/18 reducel1:18/18 reducel2:18/18 reducemax:11/11
    reducemean:8/8 reducemin:10/10 reduceprod:9/9 reducesum:12/12 reducesumsquare:18/18
    regex_full_match:0/3 relu:2/2 reshape:10/10 resize:33/39 reversesequence:3/3
    rmsnormalization:38/38 rnn:6/6 roialign:0/3 rotaryembedding:16/16 round:1/1 scan:0/4
    scatter:2/2 scatterelements:7/7 scatternd:7/7 selu:6/6 sequence_map:0/12 sequenceinsert:0/2
    shape:11/11 shrink:4/4 sigmoid:2/2 sign:1/1 sin:2/2 sinh:2/2 size:2/2 slice:8/8
    softmax:21/21 softmax_cross_entropy_loss:68/68 softplus:4/4 softsign:4/4 spacetodepth:8/8
    split:16/16 splittosequence:0/3 sqrt:2/2 squeeze:2/2 stft:0/2 string_concat:0/5
    string_split:0/6 stringnormalizer:0/6 sub:9/9 sum:3/3 swiglu:3/6 swish:2/2 tan:2/2 tanh:2/2
    tensorscatter:3/3 tfidfvectorizer:0/7 thresholdedrelu:6/6 tile:2/2 topk:7/7 transpose:7/7
    trilu:18/18 unique:7/7 unsqueeze:7/7 upsample:1/1 where:2/2 xor:8/8
    ai_onnx_ml.array_feature_extractor:0/1 ai_onnx_ml.binarizer:0/1 ai_onnx_ml.label_encoder:0/4
    ai_onnx_ml.tree_ensemble:0/2
""".split()
PASSING = {}
for item in COUNTS:
    module, counts = item.split(":")
    PASSING[module] = int(counts.partition("/")[0])
ON_DEVICES = (
    "argmax batch_normalization clip concat conv cumsum gather gemm gelu globalaveragepool"
    " layernormalization lstm matmul pad reshape slice softmax softplus split transpose where"
).split()
# What a case that does not pass is refused for: an operator that is not there, or one of these.
LIMITS = "|".join(
    [
        r": \S+ is not supported",
        r"elements are (STRING|FLOAT8|FLOAT4|U?INT[24]|COMPLEX)",
        "is no tensor",
        "drops at random",
        "tf_crop_and_resize",
        r"has 3 spatial dims",
        "holds strings",
        "sequence_lens other",
    ]
)
# Cases in which the reference divides by a length that is no whole number. onnxruntime and PyTorch
# divide by that of the result, and so do we: test_operators.py compares with onnxruntime.
UNLIKE_OTHERS = (
    "test_resize_downsample_scales_linear_align_corners",
    "test_resize_downsample_scales_cubic_align_corners",
)
MOST = 4  # cases of a module on a device: each new kernel is compiled


@pytest.mark.parametrize("module", PASSING)
def test_cases_of(module):
    cases = [case for case in cases_of(module) if case.name not in UNLIKE_OTHERS]
    outcomes = [outcome(case, "cpu") for case in cases]
    assert outcomes.count("passed") >= PASSING[module]
    for why in outcomes:
        assert why == "passed" or re.search(LIMITS, why), why


def test_how_many_pass():
    assert sum(PASSING.values()) >= 1400


@pytest.mark.parametrize("module", [m for m in ON_DEVICES if PASSING.get(m)])
def test_cases_on_devices(module, device):
    for case in cases_of(module)[:MOST]:
        outcome(case, device)
