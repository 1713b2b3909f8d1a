"""Reads files of torch.save (of any version) and pickles as data, for torch-modules.py: tensors become views of storages, everything else stand-ins. Nothing
that a file names is imported or called; torch.load and torch.jit.load are not used, since they run code of files in more ways than one. Source: PyTorch's
torch/serialization.py.
"""

import collections
import io
import pickle
import struct
import tarfile
import zipfile

import torch

STORAGES = {
    "DoubleStorage": torch.float64, "FloatStorage": torch.float32, "HalfStorage": torch.float16, "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64, "IntStorage": torch.int32, "ShortStorage": torch.int16, "CharStorage": torch.int8,
    "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
}  # fmt: skip
ZIP_MAGIC = b"PK\x03\x04"
# torch/serialization.py: the first two values of files before PyTorch 1.6.
LEGACY_MAGIC, LEGACY_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
SAVE_STATE = "save model.state_dict() where the model comes from"


class Refused(Exception):
    """A file that is not converted, and why."""


class Fixed:
    """What a pickle may get hold of and not change."""

    __slots__ = ()

    def __setstate__(self, state):
        raise Refused("expected a pickle of tensors, found one that changes what it is read with")


class Storage(Fixed):
    """Elements of one type in a file; `content` once they have been read."""

    __slots__ = ("dtype", "count", "content")

    def __init__(self, dtype, count):
        self.dtype, self.count, self.content = dtype, count, None

    @property
    def size(self):
        return self.count * self.dtype.itemsize


class View(Fixed):
    """A tensor over a storage that may not have been read yet."""

    __slots__ = ("storage", "offset", "size", "stride")

    def __init__(self, storage, offset, size, stride):
        integers = [offset, *size, *stride]
        if not isinstance(storage, Storage) or len(size) != len(stride) or not all(type(n) is int and n >= 0 for n in integers):
            raise Refused("expected a storage, an offset, sizes and strides of a tensor, found others")
        self.storage, self.offset, self.size, self.stride = storage, offset, tuple(size), tuple(stride)

    @property
    def elements(self):
        count = 1
        for size in self.size:
            count *= size
        return count

    def tensor(self):
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.size, self.stride))
        if self.elements == 0:
            return torch.empty(self.size, dtype=self.storage.dtype)
        if self.storage.content is None or last >= self.storage.count:
            raise Refused("expected tensors inside the file's storages, found one outside")
        whole = torch.frombuffer(bytearray(self.storage.content), dtype=self.storage.dtype)
        return torch.as_strided(whole, self.size, self.stride, self.offset).contiguous().clone()


class Call(Fixed):
    """A function of this script that a pickle may call."""

    __slots__ = ("function",)

    def __init__(self, function):
        self.function = function

    def __call__(self, *args):
        return self.function(*args)


class StandIn:
    """An object of any class of the file: keeps what it is given, does nothing."""

    def __new__(cls, *args, **kwargs):
        return object.__new__(cls)

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        if isinstance(state, tuple) and len(state) == 2:
            state = state[0] or state[1]
        if isinstance(state, dict):
            self.__dict__.update((key, value) for key, value in state.items() if isinstance(key, str))

    # Subclasses of list and dict are filled by these.
    def append(self, value):
        pass

    def extend(self, values):
        pass

    def __setitem__(self, key, value):
        pass


def reconstruct(cls, *_):
    """For copyreg._reconstructor, which would call what the file says."""
    return object.__new__(cls if isinstance(cls, type) and issubclass(cls, StandIn) else StandIn)


def view(storage=None, offset=None, size=(), stride=(), *_):
    return View(storage, offset, size, stride)


def load_nested(content=b"", *_):
    """How plain pickles store tensors: bytes of a file of torch.save, which are read with the same restrictions."""
    if not isinstance(content, bytes):
        raise Refused("expected bytes of a storage, found something else")
    return load_any(io.BytesIO(content), is_nested=True)


# What stands for the functions that make tensors, and types that are only data.
KNOWN = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("torch", "Size"): Call(lambda sizes=(): tuple(sizes)),
    ("torch._utils", "_rebuild_tensor"): Call(view),
    ("torch._utils", "_rebuild_tensor_v2"): Call(view),
    ("torch._utils", "_rebuild_parameter"): Call(lambda data=None, *_: data),
    ("torch.storage", "_load_from_bytes"): Call(load_nested),
    ("copyreg", "_reconstructor"): Call(reconstruct),
    ("copy_reg", "_reconstructor"): Call(reconstruct),
    ("copyreg", "__newobj__"): Call(reconstruct),
}


class Unpickler(pickle.Unpickler):
    """Makes views of tensors, and stand-ins of everything else. `storage_of` makes a storage of a persistent identifier."""

    def __init__(self, file, storage_of=None):
        super().__init__(file, encoding="utf-8")
        self.storage_of = storage_of

    def find_class(self, module, name):
        if module in ("torch", "torch.storage") and name in STORAGES:
            return type(name, (StandIn,), {"dtype": STORAGES[name]})
        return KNOWN.get((module, name)) or type(name, (StandIn,), {"__module__": module})

    def persistent_load(self, identifier):
        if self.storage_of is None or not isinstance(identifier, tuple):
            raise Refused("expected a file of torch.save, found a pickle with names of things elsewhere")
        if identifier[0] != "storage":
            return identifier[1] if len(identifier) > 1 else None  # ("module", class, file, source)
        dtype, count = getattr(identifier[1], "dtype", None), identifier[4]
        if not isinstance(dtype, torch.dtype) or type(count) is not int or count < 0:
            raise Refused("expected storages of a known type, found others")
        return self.storage_of(str(identifier[2]), dtype, count, identifier[5:])


def load_zip(file):
    """A file of torch.save since PyTorch 1.6."""
    with zipfile.ZipFile(file) as archive:
        infos = {info.filename: info for info in archive.infolist()}
        pickles = [name for name in infos if name.count("/") == 1 and name.endswith("/data.pkl")]
        root = pickles[0].split("/")[0] if len(pickles) == 1 else ""
        if any(name.endswith("/constants.pkl") or "/code/" in name for name in infos):
            raise Refused("a TorchScript program, whose tensors adamerge reads itself without running any of it")
        if root == "" or len(infos) != len(archive.infolist()):
            raise Refused(f"expected a file of torch.save, found another archive, perhaps a package or an exported program; {SAVE_STATE}")
        if any(info.compress_type != zipfile.ZIP_STORED for info in infos.values()):
            raise Refused("expected uncompressed records, as torch.save writes them, found others")
        if infos.get(f"{root}/byteorder") is not None and archive.read(f"{root}/byteorder") != b"little":
            raise Refused("expected little-endian numbers, found others")
        storages = {}

        def storage_of(key, dtype, count, _):
            if key not in storages:
                storage = storages[key] = Storage(dtype, count)
                storage.content = archive.read(f"{root}/data/{key}")
                if len(storage.content) != storage.size:
                    raise Refused(f"expected {storage.size} bytes in data/{key}, found {len(storage.content)}")
            return storages[key]

        return Unpickler(io.BytesIO(archive.read(f"{root}/data.pkl")), storage_of).load()


def load_legacy(file):
    """A file of torch.save before PyTorch 1.6, after its first value: the storages come behind the objects."""
    protocol, system = Unpickler(file).load(), Unpickler(file).load()
    if protocol != LEGACY_PROTOCOL or not isinstance(system, dict) or system.get("little_endian") is not True:
        raise Refused("expected the format of PyTorch 0.1.10 to 1.5 with little-endian numbers, found another")
    storages, parts = {}, []

    def storage_of(key, dtype, count, views):
        whole = storages.setdefault(key, Storage(dtype, count))
        part = views[0] if views else None
        if part is None:
            return whole
        _, offset, length = part  # of one storage in another
        if type(offset) is not int or type(length) is not int or min(offset, length) < 0:
            raise Refused("expected a part of a storage, found something else")
        parts.append((Storage(dtype, length), whole, offset))
        return parts[-1][0]

    value = Unpickler(file, storage_of).load()
    for key in Unpickler(file).load():
        storage = storages.get(str(key))
        count = struct.unpack("<q", file.read(8))[0]
        if storage is None or count != storage.count:
            raise Refused("expected the storages that the objects name, found others")
        storage.content = file.read(storage.size)
        if len(storage.content) != storage.size:
            raise Refused("expected a complete file, found its end")
    for part, whole, offset in parts:
        size = part.dtype.itemsize
        part.content = (whole.content or b"")[offset * size : (offset + part.count) * size]
        if len(part.content) != part.size:
            raise Refused("expected a part inside its storage, found one outside")
    return value


def load_any(file, is_nested=False):
    """The value of a file of torch.save of any version, or of pickle.dump."""
    if file.read(len(ZIP_MAGIC)) == ZIP_MAGIC:
        return load_zip(file)
    file.seek(0)
    if tarfile.is_tarfile(file):
        raise Refused(f"a tar archive, as PyTorch before 0.1.10 wrote; {SAVE_STATE}")
    file.seek(0)
    value = Unpickler(file).load()
    if type(value) is int and value == LEGACY_MAGIC:
        return load_legacy(file)
    if is_nested:
        raise Refused("expected bytes of a storage, found another pickle")
    return value
