/**
 * What torch.save calls the types of elements, as safetensors calls them: the class of a storage, or, for types that
 * came after these classes (8-bit floats, unsigned integers), a storage of bytes with the type beside it. Source:
 * PyTorch's torch/storage.py and torch/_utils.py.
 */

/** Storage classes by their names in a pickle. */
export const STORAGES: ReadonlyMap<string, string> = new Map([
  ["torch DoubleStorage", "F64"],
  ["torch FloatStorage", "F32"],
  ["torch HalfStorage", "F16"],
  ["torch BFloat16Storage", "BF16"],
  ["torch ComplexFloatStorage", "C64"],
  ["torch LongStorage", "I64"],
  ["torch IntStorage", "I32"],
  ["torch ShortStorage", "I16"],
  ["torch CharStorage", "I8"],
  ["torch ByteStorage", "U8"],
  ["torch BoolStorage", "BOOL"],
]);

/** A storage of bytes, whose elements have the type that the tensor says. */
export const UNTYPED = "torch.storage UntypedStorage";

/** Types that stand beside a storage of bytes. */
export const ELEMENT_TYPES: ReadonlyMap<string, string> = new Map([
  ["torch float8_e4m3fn", "F8_E4M3"],
  ["torch float8_e5m2", "F8_E5M2"],
  ["torch float8_e4m3fnuz", "F8_E4M3FNUZ"],
  ["torch float8_e5m2fnuz", "F8_E5M2FNUZ"],
  ["torch float8_e8m0fnu", "F8_E8M0"],
  ["torch uint16", "U16"],
  ["torch uint32", "U32"],
  ["torch uint64", "U64"],
]);

/** Names in a pickle of tensors that PyTorch's own quantisation made. */
export function isQuantisedClass(name: string): boolean {
  return /^torch\.(?:_utils\._rebuild_qtensor|Q(?:U?Int\d+\w*)Storage|q(?:u?int)\w+|per_\w+)$/.test(name);
}
