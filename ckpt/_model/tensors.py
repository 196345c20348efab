"""Tensors of torch both ways: their memory is a buffer that is not copied, what shares memory goes on sharing it, and gradients are kept.

By itself torch writes a storage into a stream as a copy of a copy, one for each tensor on it, and drops `.grad`. Only the plain kind is
treated here, in the memory of the processor or of a device; all others (sparse, quantized, nested, of other classes) reduce themselves.
Nothing is imported: without torch there are no tensors.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

from ckpt._model.layout import found_in
from ckpt._model.verbs import stream_gradient, stream_storage, stream_tensor

Reduce = Callable[[Any], tuple[Any, ...]]


def reducer_for(kind: type) -> Reduce | None:
    """Return the reducer for objects of type `kind`, when they are tensors or the memory of tensors."""
    tensor, storage = found_in("torch", "Tensor"), found_in("torch", "UntypedStorage")
    if type(storage) is not type or not isinstance(tensor, type):
        return None
    if kind is storage:
        return reduce_storage
    return reduce_tensor if issubclass(kind, tensor) else None


def reduce_tensor(tensor: Any) -> tuple[Any, ...]:
    """Return a reduction with the gradient, on top of the tensor's own where that has to be."""
    reduced = _from_storage(tensor) if _is_plain(tensor) else tensor.__reduce_ex__(5)
    gradient = tensor.grad if tensor.is_leaf else None  # of any other, torch would warn
    if gradient is None or len(reduced) != 2:  # noqa: PLR2004  another state is there already
        return reduced
    return (*reduced, gradient, None, None, stream_gradient)


def _is_plain(tensor: Any) -> bool:
    kind = type(tensor)
    if kind is not found_in("torch", "Tensor") and kind is not found_in("torch.nn.parameter", "Parameter"):
        return False
    if tensor.layout is not found_in("torch", "strided") or tensor.is_quantized or tensor.is_nested or tensor.is_conj() or tensor.is_neg():
        return False
    return tensor.device.type in {"cpu", "cuda", "mps"} and not vars(tensor)


def _from_storage(tensor: Any) -> tuple[Any, ...]:
    held = tensor.detach().cpu() if tensor.device.type != "cpu" else tensor
    place = (held.dtype, held.storage_offset(), tuple(held.shape), held.stride())
    return stream_tensor, (type(tensor), held.untyped_storage(), place, tensor.requires_grad, str(tensor.device))


def reduce_storage(storage: Any) -> tuple[Any, ...]:
    """Return the bytes of a storage as a buffer."""
    if not storage.nbytes():
        return stream_storage, (b"",)
    try:
        view = found_in("torch", "empty")(0, dtype=found_in("torch", "uint8")).set_(storage).numpy()
    except (RuntimeError, TypeError):  # it is on a device, or there is no numpy
        return storage.__reduce_ex__(5)  # type: ignore[no-any-return]
    return stream_storage, (pickle.PickleBuffer(view),)


def build_storage(buffer: Any) -> Any:
    """Return a storage in the memory of `buffer`."""
    torch: Any = import_module("torch")
    view = memoryview(buffer)
    if not view.nbytes:
        return torch.UntypedStorage(0)
    return torch.frombuffer(bytearray(view) if view.readonly else view, dtype=torch.uint8).untyped_storage()


def build_tensor(kind: Any, storage: Any, place: tuple[Any, ...], requires_grad: bool, device: str) -> Any:
    """Return a tensor on a storage; of one that was on a device, a copy there, when there is such a device."""
    torch: Any = import_module("torch")
    dtype, offset, shape, stride = place
    made = torch.empty(0, dtype=dtype).set_(storage, offset, shape, stride)
    if device != "cpu":
        with suppress(AssertionError, RuntimeError):  # without such a device it stays in the memory of the processor
            made = made.to(device)
    if kind is torch.nn.Parameter:
        return torch.nn.Parameter(made, requires_grad=requires_grad)
    return made.requires_grad_(requires_grad)
